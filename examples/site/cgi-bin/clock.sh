#!/bin/sh
# A CGI program in shell: plain text, one line at a time, so that a client sees each as it is written.
set -eu
printf 'Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\r\n'
printf 'Time here:      %s\n' "$(date '+%Y-%m-%d %H:%M:%S %Z')"
read -r up _ </proc/uptime
printf 'Machine up for: %s s\n' "${up%.*}"
read -r one five fifteen _ </proc/loadavg
printf 'Load:           %s %s %s\n' "$one" "$five" "$fifteen"
printf 'Process:        %s, user %s, folder %s\n' "$$" "$(id -un 2>/dev/null || id -u)" "$PWD"
