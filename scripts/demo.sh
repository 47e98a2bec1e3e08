#!/usr/bin/env bash
# Bartizan in two minutes: an OpenSSH server as the target, Bartizan in front of it, a person, a grant;
# then stock clients through ProxyJump, and what the log and the recording tell afterwards.
#
# Everything lives in a temporary folder and on free loopback ports, and is gone at the end.
# KEEP=1 waits before the end, so that you can go on by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'
[ -t 1 ] || bold='' faint='' plain=''

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { # a command as people would type it, then its output
    local word line=''
    for word; do
        case $word in
        *[!A-Za-z0-9@%+=:,./_-]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s$%s%s\n' "$faint" "$line" "$plain"
    "$@"
}

dir='' servers=()
cleanup() {
    local status=$?
    trap - EXIT INT TERM
    for pid in "${servers[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "$status" != 0 ] && [ -n "$dir" ]; then
        echo "The demo failed. The last lines of the servers:" >&2
        tail -n 20 "$dir"/*.log >&2 || true
    fi
    [ -z "$dir" ] || rm -rf "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { # prints a loopback port that nobody listens on
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

answers() { # waits until a server listens on a port, at most half a minute
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "Nothing answers on port $1." >&2
    return 1
}

step "What it needs"
scripts/setup-test.sh demo
echo "Building, which takes some minutes the first time."
cargo build --package bartizand --package bartizan
target=${CARGO_TARGET_DIR:-target}
PATH=$(cd "$target/debug" && pwd):$PATH
echo "OpenSSH is there, and Bartizan is built: $(bartizan --version)"

dir=$(mktemp -d "${TMPDIR:-/tmp}/bartizan-demo.XXXXXX")
login=$(id -un)
export BARTIZAN_DATA=$dir/data
unset SSH_AUTH_SOCK

step "A target: an OpenSSH server of your own, without privileges"
target_port=$(free_port)
# The server's folder for privilege separation; only root's server wants it.
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -C web-1 -f "$dir/web-1_host"
mkdir "$dir/home"
# shellcheck disable=SC2016  # the shell on the target expands it
echo 'PS1="web-1\$ "; bind "set enable-bracketed-paste off" 2>/dev/null; cd' >"$dir/home/.bashrc"
echo '. ~/.bashrc' >"$dir/home/.bash_profile"
: >"$dir/user_ca.pub"
cat >"$dir/sshd_config" <<END
ListenAddress 127.0.0.1
Port $target_port
HostKey $dir/web-1_host
PidFile none
TrustedUserCAKeys $dir/user_ca.pub
AuthorizedKeysFile none
SetEnv HOME=$dir/home
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
END
/usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>"$dir/target.log" &
servers+=($!)
answers "$target_port"
echo "web-1 listens on 127.0.0.1:$target_port. It trusts one thing only: certificates of Bartizan's user CA."

step "Bartizan"
port=$(free_port)
show bartizand init --data "$BARTIZAN_DATA" --listen "127.0.0.1:$port"
printf '%s$ bartizand serve --data %s &%s\n' "$faint" "$BARTIZAN_DATA" "$plain"
bartizand serve --data "$BARTIZAN_DATA" 2>"$dir/bartizand.log" &
servers+=($!)
answers "$port"

step "A person, a target, a grant"
ssh-keygen -q -t ed25519 -N '' -C alice -f "$dir/id_alice"
show bartizan person add alice --key "$dir/id_alice.pub"
printf '%s$ bartizan ca show user >> /etc/ssh/bartizan_user_ca.pub%s   # on the target\n' "$faint" "$plain"
bartizan ca show user >>"$dir/user_ca.pub"
show bartizan target add web-1 "127.0.0.1:$target_port" --first-use
show bartizan grant add --person alice --target web-1 --login "$login" --allow shell,exec,sftp:read,sftp:write,scp

step "Alice's side: what ssh-config prints, and her key"
show bartizan ssh-config --host bastion --person alice
bartizan ssh-config --host bastion --person alice >"$dir/printed"
sed '/known_hosts:/,$d' "$dir/printed" >"$dir/ssh_config"
sed '1,/known_hosts:/d' "$dir/printed" >"$dir/known_hosts"
cat >>"$dir/ssh_config" <<END
Host *
  IdentityFile $dir/id_alice
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $dir/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
END
ssh() { command ssh -F "$dir/ssh_config" "$@"; }
scp() { command scp -q -F "$dir/ssh_config" "$@"; }

step "An interactive session"
typed() { # a person types: one line, a moment, the next
    local line
    # shellcheck disable=SC2016  # the shell on the target expands it
    for line in 'echo "hello from $(whoami), $((6 * 7)) times"' 'seq 3 -1 1' 'printf "\033[32mall is well\033[0m\n"' exit; do
        sleep 0.5
        printf '%s\n' "$line"
    done
}
printf '%s$ ssh %s@web-1%s\n' "$faint" "$login" "$plain"
typed | ssh -tt "$login@web-1"

step "A command, its exit status"
status=0
show ssh "$login@web-1" 'echo hi; exit 7' || status=$?
echo "exit status: $status"
[ "$status" = 7 ]

step "A file, there and back"
head -c 1000000 /dev/urandom >"$dir/report"
show scp "$dir/report" "$login@web-1:"
show scp "$login@web-1:report" "$dir/back"
cmp "$dir/report" "$dir/back" && echo "1,000,000 bytes, the same at both ends"

step "What is not granted is refused"
printf '%s$ ssh nobody@web-1%s\n' "$faint" "$plain"
if ssh -o LogLevel=INFO nobody@web-1 true; then exit 1; fi

step "What an auditor sees"
ended() { # waits until the last session is closed in the log
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [ -n "$(bartizan session list --state live --json | tr -d '[] \n')" ] || return 0
        sleep 0.1
    done
}
ended
show bartizan session list
show bartizan log search --type command
show bartizan log search --limit 12
terminal=$(bartizan log search --type command --text shell --json | grep -o '"session": *"[^"]*"' | tail -n 1 | cut -d'"' -f4)
show bartizan session show "$terminal"

step "The recording of the interactive session, twice as fast"
show bartizan session play "$terminal" --speed 2 --idle-limit 1s

step "The evidence"
show bartizan log verify

step "One byte of the recording flipped, in a copy of it all"
mkdir "$dir/auditor"
cp "$BARTIZAN_DATA/keys/log.vkey" "$dir/auditor/"
cp -a "$BARTIZAN_DATA" "$dir/copy"
recording=$dir/copy/recordings/$terminal/channel-0.cast.zst
middle=$(($(stat -c %s "$recording") / 2))
byte=$(od -An -tu1 -j "$middle" -N 1 "$recording")
# shellcheck disable=SC2059  # an octal escape made of a number
printf "\\$(printf %o $((byte ^ 1)))" | dd of="$recording" bs=1 seek="$middle" conv=notrunc status=none
status=0
show bartizan -D "$dir/copy" log verify --key "$dir/auditor/log.vkey" || status=$?
echo "exit status: $status"
[ "$status" = 4 ]

step "The end of that session, proved where there is nothing but the public key"
event=$(bartizan log search --type session.end --session "$terminal" --json | grep -o '"index": *[0-9]*' | grep -o '[0-9]*$')
show bartizan log prove "$event" -o "$dir/auditor/$event.tlog-proof"
cd "$dir/auditor"
show ls
show env -u BARTIZAN_DATA bartizan log verify --proof "$event.tlog-proof" --key log.vkey
cd - >/dev/null

step "Go on by hand"
cat <<END
The same on real machines, word for word:

  bartizand init --data ./data --listen 0.0.0.0:2222
  bartizand serve --data ./data
  bartizan -D ./data person add alice --key ~/.ssh/id_ed25519.pub
  bartizan -D ./data ca show user >> /etc/ssh/bartizan_user_ca.pub   # on the target; sshd_config: TrustedUserCAKeys
  bartizan -D ./data target add web-1 10.0.0.5:22 --first-use
  bartizan -D ./data grant add --person alice --target web-1 --login root --allow shell,exec,sftp:read,sftp:write,scp
  ssh -J alice@localhost:2222 root@web-1
END
if [ "${KEEP:-}" = 1 ]; then
    cat <<END

This one still runs. In another terminal:

  ssh -F $dir/ssh_config $login@web-1
  export PATH=$(cd "$target/debug" && pwd):\$PATH BARTIZAN_DATA=$BARTIZAN_DATA
  bartizan session list

Enter ends it.
END
    read -r
fi
step "Done: the servers are stopped, $dir is gone"
