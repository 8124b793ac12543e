@echo off
rem Call this file: DIR\Scripts\activate.bat
for %%i in ("%~dp0..") do set "VIRTUAL_ENV=%%~fi"
set "_OLD_PATH=%PATH%"
set "PATH=%VIRTUAL_ENV%;%VIRTUAL_ENV%\Scripts;%PATH%"
set PYTHONHOME=
