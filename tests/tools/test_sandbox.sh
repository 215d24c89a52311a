#!/bin/bash
# Behaviour of tools/sandbox, on real hosts: one of each release, images, reboots, and what is left after a kill.
# Needs root and what `sandbox` needs; without root it skips. Uses names and a cache layer of its own, so that hosts of
# other people on the same machine neither disturb it nor are disturbed.
# shellcheck disable=SC2016     # what stands in single quotes is for a shell inside the host
set -u

here=$(cd "$(dirname "$0")/../.." && pwd)
sandbox=$here/tools/sandbox
tag=t$$
a=$tag-a b=$tag-b c=$tag-c img=$tag-img
passed=0 failed=0
tmp=$(mktemp -d)

if [ "$(id -u)" != 0 ]; then
    echo "ok - # skip: needs root"
    echo "0 passed, 0 failed"
    exit 0
fi

cleanup() {
    "$sandbox" down "$a" "$b" "$c" "$tag-long-name-for-a-host-one" "$tag-long-name-for-a-host-two" 2>/dev/null
    "$sandbox" rmi "$img" 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# check DESCRIPTION COMMAND…: ok if the command succeeds; else its output is shown.
check() {
    local what=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then
        passed=$((passed + 1))
        echo "ok $((passed + failed)) - $what"
    else
        failed=$((failed + 1))
        echo "not ok $((passed + failed)) - $what"
        sed 's/^/  # /' "$tmp/out"
    fi
}

# is EXPECTED COMMAND…: the command's stdout is exactly that.
is() {
    local want=$1 got
    shift
    got=$("$@" 2>"$tmp/err")
    [ "$got" = "$want" ] || { printf 'want: %s\ngot:  %s\n' "$want" "$got"; cat "$tmp/err"; return 1; }
}

# exits CODE COMMAND…
exits() {
    local want=$1 got=0
    shift
    "$@" || got=$?
    [ "$got" = "$want" ] || { echo "exit status $got, want $want"; return 1; }
}

x() { "$sandbox" exec "$@"; }
not() { ! "$@"; }

# one_line CODE COMMAND…: fails with that code, says one line on stderr that starts with the program's name.
one_line() {
    local want=$1 got=0
    shift
    "$@" >/dev/null 2>"$tmp/err" || got=$?
    [ "$got" = "$want" ] && [ "$(wc -l <"$tmp/err")" = 1 ] && grep -q '^sandbox: ' "$tmp/err" && return
    echo "exit status $got"
    cat "$tmp/err"
    return 1
}

# The machine has nothing of host $1: no state, disk, process, cgroup, mount.
nothing_of() {
    local left
    left=$("$sandbox" list | grep "^$1 ")
    left+=$(find "${GOLDPATH_SANDBOX_STATE:-/run/goldpath-sandbox}/hosts" -maxdepth 1 -name "$1" 2>/dev/null)
    left+=$(find "${GOLDPATH_SANDBOX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/goldpath-sandbox}/hosts" -maxdepth 1 -name "$1.*" 2>/dev/null)
    # A zombie has no command line any more: it is only waiting for the machine's init.
    left+=$(pgrep -af "[s]ystemd-nspawn .*--machine=$1 ")
    left+=$(find /sys/fs/cgroup -maxdepth 4 -type d -path "*goldpath-sandbox/$1-*" 2>/dev/null)
    left+=$(grep "goldpath-sandbox/hosts/$1" /proc/self/mountinfo)
    [ -z "$left" ] || { echo "left: $left"; return 1; }
}

# Network things of ours on the machine, when no host of anybody is up.
nothing_of_net() {
    local left
    "$sandbox" list | tail -n +2 | grep -q . && return 0       # other people's hosts: not ours to judge
    left=$(nft list tables | grep goldpath; ip -br link | grep '^gpsb')
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = "$forward" ] || left+=' ip_forward'
    [ ! -e /run/goldpath-sandbox.net ] || left+=' /run/goldpath-sandbox.net'
    [ -z "$left" ] || { echo "left: $left"; return 1; }
}

runs_as_root_login() {
    local out
    out=$(SECRET=leak x "$1" -- sh -c 'echo "$HOME $USER $(pwd) $(id -u) [${SECRET-}]"')
    [ "$out" = "/root root /root 0 []" ] || { echo "$out"; return 1; }
}

in_a_scope() { x "$1" cat /proc/self/cgroup | grep -E '^0::/system.slice/run-.*\.scope$'; }

ssh_between() {       # from host $1 to host $2, with a key pair made for it
    x "$1" sh -c 'rm -f /root/.ssh/id_ed25519*; ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519'
    "$sandbox" pull "$1" /root/.ssh/id_ed25519.pub "$tmp/$1.pub" || return 1
    "$sandbox" push "$2" "$tmp/$1.pub" /root/.ssh/extra.pub || return 1
    x "$2" sh -c 'cat /root/.ssh/extra.pub >>/root/.ssh/authorized_keys'
    is "$2" x "$1" ssh -o StrictHostKeyChecking=no -o BatchMode=yes "root@$("$sandbox" ip "$2")" uname -n
}

# up of $c is killed with signal $1 after $2 s; the next command must find nothing.
killed_up() {
    # A shell starts background jobs with SIGINT ignored; a person's `up` is not started so.
    env --default-signal=INT "$sandbox" up "$c" >"$tmp/up" 2>&1 &
    local pid=$!
    sleep "$2"
    kill "-$1" "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if grep -q '^[0-9]' "$tmp/up"; then         # it had come up before the signal
        "$sandbox" down "$c"
        return
    fi
    nothing_of "$c"
}

identity() { x "$1" sh -c 'cat /etc/machine-id /etc/hostname; cat /etc/ssh/ssh_host_*.pub | cut -d" " -f2'; }

all_differ() {        # no line of file $1 is in file $2
    ! grep -qxFf "$1" "$2"
}

second_up_is_quick() {
    local t0 t1
    t0=$(date +%s%N)
    "$sandbox" up "$1" --release "$2" || return 1
    t1=$(date +%s%N)
    echo $(((t1 - t0) / 1000000)) >"$tmp/ms"
    [ "$(cat "$tmp/ms")" -lt 5000 ] || { echo "$(cat "$tmp/ms") ms"; return 1; }
}

# While hosts of somebody are up, what it was before is on record.
forward=$(sed -n 's/.*"ip_forward": "\([01]\)".*/\1/p' /run/goldpath-sandbox.net/net.json 2>/dev/null)
forward=${forward:-$(cat /proc/sys/net/ipv4/ip_forward)}

# --- usage
check 'help names every command'              sh -c "'$sandbox' --help | grep -c -E '^  (up|exec|shell|ssh|push|pull|reboot|down|list|ip|save|images|rmi)\b' | grep -qx 13"
check 'no command: exit 2, one line'          one_line 2 "$sandbox"
check 'unknown command: exit 2'               one_line 2 "$sandbox" frobnicate
check 'unknown option: exit 2'                one_line 2 "$sandbox" up x --frob
check 'bad name: exit 2'                      one_line 2 "$sandbox" up Bad_Name
check 'unknown release: exit 2'               one_line 2 "$sandbox" up "$a" --release sarge
check 'unknown image: exit 1'                 one_line 1 "$sandbox" up "$a" --from "$tag-none"
check 'exec on no host: exit 1'               one_line 1 "$sandbox" exec "$tag-none" true
check 'down of no host: exit 0, with a word'  one_line 0 "$sandbox" down "$tag-none"

# --- two hosts
"$sandbox" up "$a" >/dev/null 2>&1 && "$sandbox" down "$a" 2>/dev/null          # the base images exist from here on
"$sandbox" up "$b" --release trixie >/dev/null 2>&1 && "$sandbox" down "$b" 2>/dev/null
check 'bookworm up in under 5 s'              second_up_is_quick "$a" bookworm
check 'trixie up in under 5 s'                second_up_is_quick "$b" trixie
check 'up of a host that is up: exit 1'       one_line 1 "$sandbox" up "$a"
for h in "$a" "$b"; do
    check "$h: systemd is running"            is running x "$h" systemctl is-system-running
    check "$h: exec is a clean root login"    runs_as_root_login "$h"
    check "$h: exec runs in a scope"          in_a_scope "$h"
    check "$h: exit code passes"              exits 7 x "$h" -- sh -c 'exit 7'
    check "$h: unknown program is 127"        exits 127 x "$h" no-such-program
    check "$h: stdin and stdout pass"         is hello sh -c "echo hello | '$sandbox' exec $h cat"
    check "$h: -u"                            is nobody x "$h" -u nobody -- id -un
    check "$h: sudo -u"                       is www-data x "$h" sudo -u www-data id -un
    check "$h: a session of sudo does not stall" x "$h" timeout 2 sudo true
    check "$h: journalctl"                    x "$h" journalctl -q -n1 -u ssh
    check "$h: the journal is quiet and persistent" x "$h" sh -c 'test -d "/var/log/journal/$(cat /etc/machine-id)" && ! journalctl -q -p err | grep .'
    check "$h: its name resolves"             is "127.0.1.1" sh -c "'$sandbox' exec $h getent hosts $h | cut -d' ' -f1"
    check "$h: ssh"                           is "$h" "$sandbox" ssh "$h" uname -n
    check "$h: ssh passes exit codes"         exits 9 "$sandbox" ssh "$h" exit 9
    check "$h: nothing of ours inside"        not x "$h" sh -c 'command -v git || command -v python3 || command -v ufw || command -v curl'
    check "$h: apt has lists"                 x "$h" sh -c 'apt-cache policy ufw | grep -q "Candidate: [0-9]"'
    check "$h: apt-get update works"          x "$h" apt-get -qq update
    check "$h: nftables' and iptables' kernel side" x "$h" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter'
    check "$h: units are confined"            x "$h" systemd-run -q --wait -p DynamicUser=yes -p ProtectSystem=strict \
        -p PrivateTmp=yes -p PrivateUsers=yes -p PrivateDevices=yes -p ProtectProc=invisible -p ProcSubset=pid \
        -p ProtectKernelTunables=yes -p RestrictNamespaces=yes -p MemoryDenyWriteExecute=yes \
        -p SystemCallFilter=@system-service -p IPAddressDeny=any true
    check "$h: list shows it running"         sh -c "'$sandbox' list | grep -q '^$h .* running\$'"
done
check 'releases are what they say'            is "12 13" sh -c "echo \$('$sandbox' exec $a sh -c '. /etc/os-release; echo \$VERSION_ID') \$('$sandbox' exec $b sh -c '. /etc/os-release; echo \$VERSION_ID')"
identity "$a" >"$tmp/id.a"; identity "$b" >"$tmp/id.b"
sort -u "$tmp/id.a" | grep -v '^ssh-\|^ecdsa-' >"$tmp/ids.a"
check 'no id of one is an id of the other'    all_differ "$tmp/ids.a" "$tmp/id.b"
check 'ssh from a to b'                       ssh_between "$a" "$b"
check 'ssh from b to a'                       ssh_between "$b" "$a"
check 'a killed exec takes its command along' sh -c "timeout -s KILL 1 '$sandbox' exec $a sleep 4242; sleep 0.5; ! '$sandbox' exec $a pgrep -f '^sleep 4242'"

# --- shell has a terminal of the guest's own
check 'shell is a login with a tty'           sh -c "{ sleep 1; printf 'tty; exit\n'; sleep 1; } | script -qec '$sandbox shell $a' /dev/null | grep -q /dev/pts/"

# --- files
printf 'one\n' >"$tmp/f"; chmod 640 "$tmp/f"; mkdir -p "$tmp/d/sub"; echo two >"$tmp/d/sub/g"
check 'push makes parents and keeps the mode' sh -c "'$sandbox' push $a '$tmp/f' /srv/deep/er/f && '$sandbox' exec $a stat -c '%a %U' /srv/deep/er/f | grep -qx '640 root'"
check 'push into a folder'                    sh -c "'$sandbox' push $a '$tmp/f' /srv/deep && '$sandbox' exec $a test -f /srv/deep/f"
check 'push of a folder'                      sh -c "'$sandbox' push $a '$tmp/d' /srv/d && '$sandbox' exec $a cat /srv/d/sub/g | grep -qx two"
check 'pull brings the same bytes back'       sh -c "'$sandbox' pull $a /srv/deep/er/f '$tmp/new/dir/f' && cmp '$tmp/f' '$tmp/new/dir/f'"
check 'pull of a folder'                      sh -c "'$sandbox' pull $a /srv/d '$tmp/back' && cmp '$tmp/d/sub/g' '$tmp/back/sub/g'"
check 'pull of nothing: exit 1'               one_line 1 "$sandbox" pull "$a" /no/such "$tmp/nope"
x "$a" ln -s "$tmp/trap" /srv/link
check 'a link inside leads nowhere outside'   sh -c "'$sandbox' push $a '$tmp/f' /srv/link; test ! -e '$tmp/trap'"

# --- reboot
x "$a" sh -c 'echo kept >/root/kept'
x "$a" systemd-run -q --unit=will-be-gone sleep 1000
check 'reboot'                                "$sandbox" reboot "$a"
check 'reboot ended all processes'            not x "$a" pgrep -f 'sleep 1000'
check 'reboot kept the disk'                  is kept x "$a" cat /root/kept
check 'reboot: ssh, same host key'            is "$a" "$sandbox" ssh "$a" uname -n
check 'reboot: the journal knows two boots'   is 2 sh -c "'$sandbox' exec $a journalctl --list-boots -q | grep -c -E '^ *(-1|0) '"
check 'reboot --hard'                         "$sandbox" reboot "$a" --hard
check 'reboot --hard kept the disk'           is kept x "$a" cat /root/kept
check 'a host that reboots itself comes back' sh -c "'$sandbox' ssh $b systemctl reboot; sleep 1; '$sandbox' exec $b -- sh -c 'systemctl is-system-running --wait' | grep -qx running"

# --- images
identity "$a" >"$tmp/id.a"
check 'save'                                  "$sandbox" save "$a" "$img"
check 'the saved host is gone'                nothing_of "$a"
check 'images lists it'                       sh -c "'$sandbox' images | grep -q '^$img '"
check 'up --from'                             "$sandbox" up "$c" --from "$img"
check 'the image has the files'               is kept x "$c" cat /root/kept
identity "$c" >"$tmp/id.c"
sort -u "$tmp/id.a" | grep -v '^ssh-\|^ecdsa-' >"$tmp/ids.a"
check 'the new host has its own identity'     all_differ "$tmp/ids.a" "$tmp/id.c"
check 'the new host is running, ssh works'    is "$c" "$sandbox" ssh "$c" uname -n
check 'two hosts from one image'              "$sandbox" up "$a" --from "$img"
check 'rmi of an image in use: exit 1'        one_line 1 "$sandbox" rmi "$img"
check 'down of two'                           "$sandbox" down "$a" "$c"
check 'rmi'                                   "$sandbox" rmi "$img"

# --- names that begin alike, at the same time
"$sandbox" up "$tag-long-name-for-a-host-one" >/dev/null 2>&1 & p1=$!
"$sandbox" up "$tag-long-name-for-a-host-two" --release trixie >/dev/null 2>&1 & p2=$!
"$sandbox" up "$a" >/dev/null 2>"$tmp/e1" & p3=$!
"$sandbox" up "$a" >/dev/null 2>"$tmp/e2" & p4=$!
check 'concurrent up: one'                    wait $p1
check 'concurrent up: two'                    wait $p2
wait $p3; r3=$?; wait $p4; r4=$?
check 'of two ups of one name, one wins'      test $((r3 + r4)) = 1
check 'they see each other'                   x "$tag-long-name-for-a-host-one" ping -q -c1 -W2 "$("$sandbox" ip "$tag-long-name-for-a-host-two")"
check 'down'                                  "$sandbox" down "$tag-long-name-for-a-host-one" "$tag-long-name-for-a-host-two" "$a"

# --- killed in the middle
for t in 0.05 0.12 0.18 0.24 0.30; do
    check "up, SIGKILL after $t s: nothing left" killed_up KILL $t
    check "up, SIGTERM after $t s: nothing left" killed_up TERM $t
    check "up, SIGINT after $t s: nothing left"  killed_up INT $t
done
"$sandbox" up "$c" >/dev/null 2>&1
kill -9 "$(cat "${GOLDPATH_SANDBOX_STATE:-/run/goldpath-sandbox}/hosts/$c/keeper.lock")"
check 'keeper killed: nothing left'           nothing_of "$c"
"$sandbox" up "$c" >/dev/null 2>&1
x "$c" systemd-run -q sh -c 'trap "" TERM; while :; do sleep 1; done'
t0=$SECONDS
check 'down of a host that will not go'       "$sandbox" down "$c"
check 'it took the deadline and little more'  test $((SECONDS - t0)) -le 14
"$sandbox" up "$c" >/dev/null 2>&1 & p=$!
sleep 0.2
check 'down of a host half up'                "$sandbox" down "$c"
wait $p
check 'nothing left of it'                    nothing_of "$c"
cache=$tmp/cache
GOLDPATH_SANDBOX_CACHE=$cache "$sandbox" up "$c" >/dev/null 2>&1 & p=$!
sleep 5
kill -9 $p
wait $p 2>/dev/null
sleep 0.5
check 'a killed build leaves no image'        sh -c "GOLDPATH_SANDBOX_CACHE=$cache '$sandbox' images | tail -n +2 | grep . && exit 1; ! ls -A '$cache/images' | grep -v '^.lock'"
check 'nor a process of it'                   not pgrep -f "$cache/images"
check 'down of the other host'                "$sandbox" down "$b"
check 'nothing left of it'                    nothing_of "$b"
check 'nft, veth, ip_forward as before'       nothing_of_net

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
