# SPDX-License-Identifier: MIT OR Apache-2.0
# bash completion of punktfunk-host and punktfunk-client

_punktfunk_host()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W 'serve --help --version' -- "$cur"))
        return
    fi
    case $prev in
    --compositor)
        COMPREPLY=($(compgen -W 'auto sway' -- "$cur"))
        return
        ;;
    --encoder-preset)
        COMPREPLY=($(compgen -W 'auto ultrafast superfast veryfast faster' -- "$cur"))
        return
        ;;
    --source)
        COMPREPLY=($(compgen -W 'desktop synthetic' -- "$cur"))
        return
        ;;
    --log-level)
        COMPREPLY=($(compgen -W 'error warn info debug' -- "$cur"))
        return
        ;;
    --config-dir)
        COMPREPLY=($(compgen -d -- "$cur"))
        return
        ;;
    --report)
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    --desktop-user)
        COMPREPLY=($(compgen -u -- "$cur"))
        return
        ;;
    esac
    COMPREPLY=($(compgen -W '--help
        --config-dir
        --listen
        --port
        --data-port
        --sessions
        --idle-timeout
        --compositor
        --own-desktop
        --command
        --desktop-user
        --bitrate
        --encoder-preset
        --fec-percent
        --shard-bytes
        --source
        --synthetic-bytes
        --synthetic-hz
        --synthetic-frames
        --stage-timing
        --drop-every
        --plain-udp
        --log-level
        --report' -- "$cur"))
}

_punktfunk_client()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $prev in
    --connect)
        COMPREPLY=($(compgen -A hostname -- "$cur"))
        return
        ;;
    --mode)
        COMPREPLY=($(compgen -W '1280x720@60 1920x1080@60 2560x1440@60 3840x2160@60' -- "$cur"))
        return
        ;;
    --out | --json)
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    --config-dir)
        COMPREPLY=($(compgen -d -- "$cur"))
        return
        ;;
    esac
    COMPREPLY=($(compgen -W '--connect --mode --out --seconds --bitrate --pin --name --config-dir --json --verify-synthetic --quiet --help --version' -- "$cur"))
}

complete -F _punktfunk_host punktfunk-host
complete -F _punktfunk_client punktfunk-client
