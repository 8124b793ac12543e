# Source this file: source activate.fish
set -gx VIRTUAL_ENV (path resolve (status dirname)/.. 2> /dev/null; or realpath (status dirname)/..)
set -gx _OLD_PATH $PATH
set -gx PATH $VIRTUAL_ENV/bin $PATH
set -e PYTHONHOME
function deactivate
    set -gx PATH $_OLD_PATH
    set -e VIRTUAL_ENV _OLD_PATH
    functions -e deactivate
end
