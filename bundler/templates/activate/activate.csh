# Source this file: source DIR/bin/activate.csh. csh does not tell where it is, except in the list of open files.
set _bundler_file = `ls -l /proc/$$/fd | sed -n 's/.* -> \(.*\/bin\/activate.csh\)$/\1/p' | tail -1`
if ("$_bundler_file" == "") set _bundler_file = "$cwd/activate.csh"
setenv VIRTUAL_ENV `dirname "$_bundler_file"`
setenv VIRTUAL_ENV `dirname "$VIRTUAL_ENV"`
set _OLD_PATH = "$PATH"
setenv PATH "$VIRTUAL_ENV/bin:$PATH"
unsetenv PYTHONHOME
alias deactivate 'setenv PATH "$_OLD_PATH"; unset _OLD_PATH; unsetenv VIRTUAL_ENV; unalias deactivate; rehash'
unset _bundler_file
rehash
