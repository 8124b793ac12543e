# Run this file: DIR\Activate.ps1
$env:VIRTUAL_ENV = if (Test-Path "$PSScriptRoot/python.exe") { $PSScriptRoot } else { Split-Path $PSScriptRoot }
$global:_OldPath = $env:PATH
$sep = [System.IO.Path]::PathSeparator
$commands = if (Test-Path "$env:VIRTUAL_ENV/python.exe") { "$env:VIRTUAL_ENV$sep$env:VIRTUAL_ENV\Scripts" } `
    elseif (Test-Path "$env:VIRTUAL_ENV/Scripts") { "$env:VIRTUAL_ENV\Scripts" } else { "$env:VIRTUAL_ENV/bin" }
$env:PATH = "$commands$sep$env:PATH"
Remove-Item Env:PYTHONHOME -ErrorAction SilentlyContinue
function global:deactivate {
    $env:PATH = $global:_OldPath
    Remove-Item Env:VIRTUAL_ENV, Function:deactivate, Variable:_OldPath -ErrorAction SilentlyContinue
}
