# SPDX-License-Identifier: Apache-2.0
# Completion of qvfctl for fish: verbs and options are those that qvfctl --help prints, names are those that exist.

function __qvfctl_verb
    set -l words (commandline -opc)
    set -e words[1]
    set -l first $words[1]
    if qvfctl --help 2>/dev/null | string match -qr "^  $first $words[2] "
        echo "$first $words[2]"
    else
        echo $first
    end
end

function __qvfctl_first
    qvfctl --help 2>/dev/null | string replace -rf '^  ([a-z]+)  +(.*)' '$1\t$2'
    qvfctl --help 2>/dev/null | string replace -rf '^  ([a-z]+) [a-z]+  .*' '$1' | sort -u
end

function __qvfctl_second
    set -l words (commandline -opc)
    qvfctl --help 2>/dev/null | string replace -rf "^  $words[2] ([a-z]+)  +(.*)" '$1\t$2'
end

function __qvfctl_options
    set -l verb (__qvfctl_verb | string split ' ')
    qvfctl $verb --help 2>/dev/null | string replace -rf '^  (?:-.,|   ) (--[a-z0-9-]+)(?: [^ ]+)? +(.*)' '$1\t$2'
end

function __qvfctl_names
    switch (__qvfctl_verb)
        case 'job *'
            qvfctl jobs --names 2>/dev/null
        case 'models info' 'models load' 'models unload' 'models remove'
            qvfctl models --names 2>/dev/null
        case 'adapters info' 'adapters export' 'adapters remove' 'adapters merge'
            qvfctl adapters --names 2>/dev/null
        case 'devices reset'
            qvfctl devices --names 2>/dev/null
    end
end

complete -c qvfctl -n 'test (count (commandline -opc)) -eq 1' -f -a '(__qvfctl_first)'
complete -c qvfctl -n 'test (count (commandline -opc)) -eq 2' -a '(__qvfctl_second)'
complete -c qvfctl -n 'test (count (commandline -opc)) -ge 3' -a '(__qvfctl_names)'
complete -c qvfctl -n 'test (count (commandline -opc)) -ge 2; and string match -q -- "-*" (commandline -ct)' -a '(__qvfctl_options)'
