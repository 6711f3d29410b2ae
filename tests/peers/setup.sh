#!/usr/bin/env bash
# Unpacks the SMTP programs that the tests and measurements compare with into one directory.
#
# Nothing is installed into the system and nothing is started: packages are unpacked with `dpkg -x`, because Debian's
# mail servers exclude each other, and each program gets a wrapper in DIR/bin. A wrapper exists only if its program was
# seen to run, so its presence is the test for "available". The exit status is 0 even when peers are missing.
set -eu

usage() {
    cat <<'USAGE'
usage: setup.sh [--dir DIR]

Unpacks Postfix (with smtp-sink and smtp-source), Exim, OpenSMTPD, chasquid, msmtp, swaks, aiosmtpd, aiosmtplib, nodemailer and
promtool into DIR, notes the system's openssl, curl and Python, and prints one line per peer: name, version, "ok" and its path, or "not
available" and why.

  --dir DIR   where to (default: $EHLO_PEERS, or $XDG_CACHE_HOME/ehlo-peers, or ~/.cache/ehlo-peers)

A second run checks what is there and only fetches what is missing.
USAGE
}

dir=${EHLO_PEERS:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/ehlo-peers}
while [ $# -gt 0 ]; do
    case $1 in
        --dir)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            dir=$2
            shift 2
            ;;
        --dir=*) dir=${1#--dir=}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

# A colon separates the entries of LD_LIBRARY_PATH and PERL5LIB, so it cannot be part of one.
case $dir in
    '') echo "setup.sh: the directory's name is empty" >&2; exit 2 ;;
    *:*) echo "setup.sh: the directory's name may not hold a colon: $dir" >&2; exit 2 ;;
esac
if ! mkdir -p "$dir" 2>/dev/null || ! dir=$(cd "$dir" && pwd) || [ ! -w "$dir" ]; then
    for peer in smtp-sink smtp-source postfix aiosmtpd aiosmtplib smtplib swaks msmtp exim opensmtpd chasquid nodemailer promtool curl openssl; do
        printf '%-12s %-20s not available: cannot write to %s\n' "$peer" - "$dir"
    done
    exit 0
fi

root=$dir/root    # what the packages unpack to
bin=$dir/bin      # the wrappers
state=$dir/state  # versions, logs, package lists, downloads
mkdir -p "$root" "$bin" "$state/versions" "$state/logs"

trap 'rm -rf "$state"/download.*' EXIT

have() { command -v "$1" >/dev/null 2>&1; }

# Two runs at once would unpack over each other.
if have flock; then
    exec 9>"$state/lock"
    flock -w 900 9 || { echo "setup.sh: another run holds $state/lock" >&2; exit 0; }
fi

# No step may hang: a network that swallows packets must end in "not available".
bounded() {
    if have timeout; then timeout 600 "$@"; else "$@"; fi
}

report_ok() { printf '%-12s %-20s ok: %s\n' "$1" "$2" "$bin/$1"; }
report_missing() {
    rm -f "$bin/$1"
    printf '%-12s %-20s not available: %s\n' "$1" - "$2"
}

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# wrapper NAME: makes DIR/bin/NAME from standard input, whole or not at all.
wrapper() {
    { echo '#!/bin/sh'; cat; } >"$bin/.$1.new"
    chmod 755 "$bin/.$1.new"
    mv -f "$bin/.$1.new" "$bin/$1"
}

remember() { printf '%s\n' "$2" >"$state/versions/$1"; }
recalled() { cat "$state/versions/$1" 2>/dev/null || echo '?'; }
last_line() { grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1; }

# ---- Debian packages, unpacked --------------------------------------------------------------------------------------

apt_opts=(-o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
apt_problem=  # why apt is of no use here, once that is known
apt_refreshed=

apt_usable() {
    [ -z "$apt_problem" ] || return 1
    local tool
    for tool in apt-get apt-cache dpkg dpkg-query; do
        have "$tool" || { apt_problem="there is no $tool, and the system has none installed"; return 1; }
    done
}

# Fetches package lists. Root refreshes the system's; others get lists of their own, which needs no privilege.
apt_refresh() {
    [ -z "$apt_refreshed" ] || return 1
    apt_refreshed=yes
    if [ "$(id -u)" != 0 ]; then
        echo "setup.sh: not root: fetching package lists into $state/apt instead of the system's" >&2
        mkdir -p "$state/apt/lists/partial" "$state/apt/cache/archives/partial"
        apt_opts+=(-o "Dir::State::lists=$state/apt/lists" -o "Dir::Cache=$state/apt/cache")
    fi
    # A source that fails need not be the one that matters (and apt then often reports success), so the caller looks again.
    bounded apt-get "${apt_opts[@]}" -q update >"$state/logs/apt-update.log" 2>&1 || true
}

apt_version() {
    apt-cache "${apt_opts[@]}" policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | grep -v '^(none)$'
}

apt_knows() { [ -n "$(apt_version "$1" || true)" ]; }

installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q ' installed$'; }

apt_fetch() { (cd "$1" && bounded apt-get "${apt_opts[@]}" -q download "$2") >"$state/logs/$2.log" 2>&1; }

# unpack PACKAGE: into DIR/root, once. The lists may be older than the archive, hence the second try.
unpack() {
    local package=$1 tmp problem
    [ ! -f "$state/versions/deb-$package" ] || return 0
    apt_usable || return 1
    if ! apt_knows "$package"; then
        apt_refresh || true
        if ! apt_knows "$package"; then
            why="the package lists have no $package"
            problem=$(grep '^[EW]: ' "$state/logs/apt-update.log" 2>/dev/null | head -n 1 || true)
            [ -z "$problem" ] || why="$why, and fetching them failed ($problem)"
            return 1
        fi
    fi
    tmp=$(mktemp -d "$state/download.XXXXXX")
    if ! apt_fetch "$tmp" "$package" && ! { apt_refresh && apt_fetch "$tmp" "$package"; }; then
        why="$package cannot be downloaded ($(last_line "$state/logs/$package.log"))"
        rm -rf "$tmp"
        return 1
    fi
    set -- "$tmp"/*.deb
    if ! dpkg -x "$1" "$root" >>"$state/logs/$package.log" 2>&1; then
        why="$package cannot be unpacked ($(last_line "$state/logs/$package.log"))"
        rm -rf "$tmp"
        return 1
    fi
    remember "deb-$package" "$(dpkg-deb -f "$1" Version)"
    rm -rf "$tmp"
}

# depends PACKAGE: the packages it needs, one a line.
depends() {
    apt-cache "${apt_opts[@]}" depends "$1" 2>/dev/null | sed -n 's/^[ |]*\(Pre\)\{0,1\}Depends: \([^<].*\)$/\2/p' | sed 's/:any$//'
}

# unpack_needs PATTERN PACKAGE...: unpacks what the packages need and the system lacks, following only names that match
# the pattern. Best effort: whether the program then runs is what counts. libc6 belongs to the system's loader.
unpack_needs() {
    local pattern=$1 queue seen=' libc6 ' package need
    shift
    queue=$*
    while [ -n "$queue" ]; do
        set -- $queue
        package=$1
        shift
        queue=$*
        for need in $(depends "$package"); do
            case $seen in *" $need "*) continue ;; esac
            seen="$seen$need "
            [[ $need =~ $pattern ]] || continue
            queue="$queue $need"
            installed "$need" || unpack "$need" || true
        done
    done
}

# The directories below DIR/root that hold shared libraries, colon-separated.
library_path() {
    local path= d
    for d in "$root"/usr/lib/postfix "$root"/usr/lib/*-linux-* "$root"/lib/*-linux-* "$root"/usr/lib; do
        [ ! -d "$d" ] || path=$path${path:+:}$d
    done
    printf '%s' "$path"
}

# The directories below DIR/root that hold Perl modules, colon-separated.
perl_path() {
    local path= d
    for d in "$root"/usr/share/perl5 "$root"/usr/lib/*-linux-*/perl5/* "$root"/usr/share/perl/[0-9]*.*[0-9] \
        "$root"/usr/lib/*-linux-*/perl/[0-9]*.*[0-9]; do
        [ ! -d "$d" ] || path=$path${path:+:}$d
    done
    printf '%s' "$path"
}

# ---- Postfix: smtp-sink, smtp-source ---------------------------------------------------------------------------------

# Without arguments both programs print their usage and end: that proves that they load, and opens no socket. As root,
# smtp-sink complains about the missing -u before that, unless it is given.
postfix_runs() { bounded "$bin/$1" 2>&1 </dev/null | grep -q "usage:.*$1"; }

# postfix_wrapper NAME PROGRAM LIBRARY_PATH. Neither program reads main.cf, so no configuration is needed.
# smtp-sink refuses to run as root without a user to become; a -u among the arguments comes later and wins.
postfix_wrapper() {
    {
        if [ -n "$3" ]; then
            echo "LD_LIBRARY_PATH=$(quote "$3")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
            echo 'export LD_LIBRARY_PATH'
        fi
        if [ "$1" = smtp-sink ]; then
            echo '[ "$(id -u)" != 0 ] || set -- -u nobody "$@"'
        fi
        echo "exec $(quote "$2") \"\$@\""
    } | wrapper "$1"
}

system_postfix() {
    local d
    for d in /usr/sbin /usr/libexec/postfix /usr/local/sbin /usr/bin; do
        [ ! -x "$d/$1" ] || { echo "$d/$1"; return 0; }
    done
    return 1
}

setup_postfix() {
    local name=$1 program version
    why=
    if [ -x "$bin/$name" ] && postfix_runs "$name"; then
        report_ok "$name" "$(recalled "$name")"
        return
    fi
    if program=$(system_postfix "$name"); then
        postfix_wrapper "$name" "$program" ''
        version=$(postconf -h mail_version 2>/dev/null || echo '?')
    elif unpack postfix; then
        program=$root/usr/sbin/$name
        version=$(recalled deb-postfix)
        postfix_wrapper "$name" "$program" "$(library_path)"
        if ! postfix_runs "$name"; then
            unpack_needs '^lib' postfix
            postfix_wrapper "$name" "$program" "$(library_path)"
        fi
    else
        report_missing "$name" "${apt_problem:-$why}"
        return
    fi
    if postfix_runs "$name"; then
        remember "$name" "$version"
        report_ok "$name" "$version"
    else
        why=$(bounded "$bin/$name" 2>&1 </dev/null | head -n 1 || true)
        report_missing "$name" "it does not run (${why:-no output})"
    fi
}

# ---- aiosmtpd --------------------------------------------------------------------------------------------------------

aiosmtpd_version() { bounded "$bin/aiosmtpd" --version 2>/dev/null </dev/null | sed -n 's/.* //p' | head -n 1; }

# A virtual environment where Python can make one (Debian splits that off), else Debian's own package unpacked: it is
# plain Python and runs with any interpreter.
setup_aiosmtpd() {
    local python=${PYTHON:-python3} log=$state/logs/aiosmtpd.log version pip_problem
    why=
    if [ -x "$bin/aiosmtpd" ] && version=$(aiosmtpd_version) && [ -n "$version" ]; then
        report_ok aiosmtpd "$version"
        return
    fi
    if ! have "$python"; then
        report_missing aiosmtpd "there is no $python"
        return
    fi
    if "$python" -m venv --clear "$dir/venv" >"$log" 2>&1 &&
        bounded "$dir/venv/bin/python" -m pip --disable-pip-version-check --retries 1 --timeout 20 install --quiet aiosmtpd >>"$log" 2>&1; then
        wrapper aiosmtpd <<WRAPPER
exec $(quote "$dir/venv/bin/python") -m aiosmtpd "\$@"
WRAPPER
    else
        pip_problem=$(last_line "$log" || true)
        rm -rf "$dir/venv"
        if unpack python3-aiosmtpd; then
            unpack_needs '^python3-' python3-aiosmtpd
            wrapper aiosmtpd <<WRAPPER
PYTHONPATH=$(quote "$root/usr/lib/python3/dist-packages")\${PYTHONPATH:+:\$PYTHONPATH}
export PYTHONPATH
exec $(quote "$(command -v "$python")") -m aiosmtpd "\$@"
WRAPPER
        else
            report_missing aiosmtpd "no virtual environment (${pip_problem:-no output}), no package (${apt_problem:-$why})"
            return
        fi
    fi
    version=$(aiosmtpd_version || true)
    if [ -n "$version" ]; then
        report_ok aiosmtpd "$version"
    else
        why=$(bounded "$bin/aiosmtpd" --version 2>&1 </dev/null | tail -n 1 || true)
        report_missing aiosmtpd "it does not run (${why:-no output})"
    fi
}

# ---- swaks -----------------------------------------------------------------------------------------------------------

swaks_version() { bounded "$bin/swaks" --version 2>/dev/null </dev/null | sed -n 's/^swaks version *//p' | head -n 1; }

# What this swaks cannot do for want of Perl modules: worth knowing before a TLS or AUTH test is judged.
swaks_gaps() {
    bounded "$bin/swaks" --support 2>/dev/null </dev/null | sed -n 's/^\*\*\* \(.*\) not available.*/\1/p' | paste -s -d , - | sed 's/,/, /g'
}

swaks_wrapper() {
    local path
    path=$(perl_path)
    {
        if [ -n "$path" ]; then
            echo "PERL5LIB=$(quote "$path")\${PERL5LIB:+:\$PERL5LIB}"
            echo 'export PERL5LIB'
            # Net::SSLeay, where it came with the libraries it needs.
            echo "LD_LIBRARY_PATH=$(quote "$(library_path)")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
            echo 'export LD_LIBRARY_PATH'
        fi
        echo "exec $(quote "$(command -v perl)") $(quote "$root/usr/bin/swaks") \"\$@\""
    } | wrapper swaks
}

setup_swaks() {
    local version gaps module
    why=
    if ! { [ -x "$bin/swaks" ] && version=$(swaks_version) && [ -n "$version" ]; }; then
        rm -f "$bin/swaks"
        if have swaks; then
            wrapper swaks <<WRAPPER
exec $(quote "$(command -v swaks)") "\$@"
WRAPPER
        elif ! have perl; then
            report_missing swaks "there is no perl"
            return
        elif unpack swaks; then
            # TLS, IPv6, MX look-ups and AUTH each need modules; perl's own library may be missing as well.
            unpack_needs '^(perl-modules|libperl)' perl
            for module in libnet-ssleay-perl libnet-dns-perl libio-socket-inet6-perl libsocket6-perl libauthen-sasl-perl; do
                installed "$module" || unpack "$module" || true
            done
            unpack_needs '^lib(ssl|net|digest|gssapi|authen|crypt)[a-z0-9-]*$' libnet-ssleay-perl libnet-dns-perl libauthen-sasl-perl
            swaks_wrapper
        else
            report_missing swaks "${apt_problem:-$why}"
            return
        fi
        version=$(swaks_version || true)
    fi
    if [ -n "$version" ]; then
        report_ok swaks "$version"
        gaps=$(swaks_gaps || true)
        [ -z "$gaps" ] || echo "setup.sh: swaks runs without: $gaps" >&2
    else
        why=$(bounded "$bin/swaks" --version 2>&1 </dev/null | head -n 1 || true)
        report_missing swaks "it does not run (${why:-no output})"
    fi
}

# ---- programs of the system -----------------------------------------------------------------------------------------

# setup_system NAME PROGRAM VERSION_ARGUMENT: the system's, under the same roof so that a test looks in one place.
setup_system() {
    local name=$1 program version
    rm -f "$bin/$name"  # DIR/bin may be in PATH: the search must not find the wrapper
    if ! program=$(command -v "$2"); then
        report_missing "$name" "the system has no $2"
        return
    fi
    wrapper "$name" <<WRAPPER
exec $(quote "$program") "\$@"
WRAPPER
    version=$(bounded "$bin/$name" "$3" 2>/dev/null </dev/null | head -n 1 | cut -d' ' -f2)
    report_ok "$name" "${version:-?}"
}

# ---- Python: smtplib, aiosmtplib ------------------------------------------------------------------------------------

# The wrapper is the interpreter that has the module; a test gives it a program.
setup_aiosmtplib() {
    local log=$state/logs/aiosmtplib.log version python=$dir/venv/bin/python
    local ask='import aiosmtplib; print(aiosmtplib.__version__)'
    if [ ! -x "$python" ]; then
        report_missing aiosmtplib "no virtual environment could be made for aiosmtpd"
        return
    fi
    if ! bounded "$python" -c "$ask" >/dev/null 2>&1; then
        bounded "$python" -m pip --disable-pip-version-check --retries 1 --timeout 20 install --quiet aiosmtplib >"$log" 2>&1 || true
    fi
    if version=$(bounded "$python" -c "$ask" 2>/dev/null); then
        wrapper aiosmtplib <<WRAPPER
exec $(quote "$python") "\$@"
WRAPPER
        report_ok aiosmtplib "$version"
    else
        report_missing aiosmtplib "it cannot be installed ($(last_line "$log" || true))"
    fi
}

# ---- nodemailer -----------------------------------------------------------------------------------------------------

setup_nodemailer() {
    local log=$state/logs/nodemailer.log where=$dir/node version
    local ask="console.log(require('nodemailer/package.json').version)"
    if ! have node || ! have npm; then
        report_missing nodemailer "there is no node or no npm"
        return
    fi
    mkdir -p "$where"
    if [ ! -d "$where/node_modules/nodemailer" ]; then
        (cd "$where" && bounded npm install --no-audit --no-fund --no-save --silent nodemailer) >"$log" 2>&1 || true
    fi
    if version=$(cd "$where" && bounded node -e "$ask" 2>>"$log"); then
        wrapper nodemailer <<WRAPPER
NODE_PATH=$(quote "$where/node_modules")
export NODE_PATH
exec $(quote "$(command -v node)") "\$@"
WRAPPER
        report_ok nodemailer "$version"
    else
        report_missing nodemailer "it cannot be installed ($(last_line "$log" || true))"
    fi
}

# ---- msmtp, Exim, Postfix's mail system -----------------------------------------------------------------------------

preload=

# library_wrapper NAME PROGRAM: runs an unpacked program with the libraries beside it.
library_wrapper() {
    wrapper "$1" <<WRAPPER
LD_LIBRARY_PATH=$(quote "$(library_path)")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
${preload:+LD_PRELOAD=$(quote "$preload") NSS_WRAPPER_PASSWD=$(quote "$state/passwd") NSS_WRAPPER_GROUP=$(quote "$state/group")
export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP}
exec $(quote "$2") "\$@"
WRAPPER
}

# setup_unpacked NAME PACKAGE PROGRAM VERSION_ARGUMENT VERSION_WORD
setup_unpacked() {
    local name=$1 package=$2 program=$root$3 version
    why=
    version_of() { bounded "$bin/$name" "$1" 2>/dev/null </dev/null | head -n 1 | cut -d' ' -f"$2"; }
    if ! { [ -x "$bin/$name" ] && version=$(version_of "$4" "$5") && [ -n "$version" ]; }; then
        rm -f "$bin/$name"
        if ! unpack "$package"; then
            report_missing "$name" "${apt_problem:-$why}"
            return
        fi
        # A program that is set-user-ID ignores the libraries beside it.
        chmod u-s "$program"
        library_wrapper "$name" "$program"
        version=$(version_of "$4" "$5" || true)
        if [ -z "$version" ]; then
            unpack_needs '^lib' "$package"
            library_wrapper "$name" "$program"
            version=$(version_of "$4" "$5" || true)
        fi
    fi
    if [ -n "$version" ]; then
        report_ok "$name" "$version"
    else
        why=$(bounded "$bin/$name" "$4" 2>&1 </dev/null | head -n 1 || true)
        report_missing "$name" "it does not run (${why:-no output})"
    fi
}

# Exim wants its user to exist, and this adds none to the system: nss_wrapper tells it of one.
setup_exim() {
    local nss
    if unpack libnss-wrapper && nss=$(find "$root" -name libnss_wrapper.so | head -n 1) && [ -n "$nss" ]; then
        printf '%s\n' 'root:x:0:0::/:/bin/sh' 'Debian-exim:x:65533:65533::/:/bin/false' 'mail:x:8:8::/:/bin/false' >"$state/passwd"
        printf '%s\n' 'root:x:0:' 'Debian-exim:x:65533:' 'mail:x:8:' >"$state/group"
        preload=$nss
    fi
    setup_unpacked exim exim4-daemon-light /usr/sbin/exim4 -bV 3
    preload=
}

# OpenSMTPD has the names of its folders and users compiled in, and can't be told of others. Its first argument is therefore either `version`,
# or comes behind a mount namespace of its own, where these folders are new and in memory, and nss_wrapper tells of the users. That takes root;
# where it can't be had, the wrapper ends with 77.
setup_opensmtpd() {
    local nss program=$root/usr/sbin/smtpd version
    why=
    if ! unpack opensmtpd; then
        report_missing opensmtpd "${apt_problem:-$why}"
        return
    fi
    if ! unpack libnss-wrapper || ! nss=$(find "$root" -name libnss_wrapper.so | head -n 1) || [ -z "$nss" ]; then
        report_missing opensmtpd "there is no nss_wrapper to tell it of its users (${apt_problem:-$why})"
        return
    fi
    printf '%s\n' 'root:x:0:0::/:/bin/sh' 'opensmtpd:x:65531:65531::/var/lib/opensmtpd/empty:/bin/false' \
        'opensmtpq:x:65532:65532::/var/lib/opensmtpd/empty:/bin/false' 'store:x:65530:65530::/:/bin/sh' >"$state/passwd.opensmtpd"
    printf '%s\n' 'root:x:0:' 'opensmtpd:x:65531:' 'opensmtpq:x:65532:' 'store:x:65530:' >"$state/group.opensmtpd"
    opensmtpd_wrapper() {
        wrapper opensmtpd <<WRAPPER
LD_LIBRARY_PATH=$(quote "$(library_path)")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
if [ "\${1:-}" = version ]; then
    exec $(quote "$program") -h
fi
exec unshare --mount sh -c '
    libexec=\$1 nss=\$2 passwd=\$3 group=\$4 program=\$5
    shift 5
    for folder in /usr/libexec /var/lib /var/spool /run; do
        mount -t tmpfs tmpfs "\$folder" || exit 77
    done
    mkdir -p /usr/libexec/opensmtpd /var/lib/opensmtpd/empty /var/spool/smtpd || exit 77
    cp "\$libexec"/* /usr/libexec/opensmtpd/ || exit 77
    chmod 711 /var/spool/smtpd
    LD_PRELOAD=\$nss NSS_WRAPPER_PASSWD=\$passwd NSS_WRAPPER_GROUP=\$group
    export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    exec "\$program" "\$@"
' sh $(quote "$root/usr/libexec/opensmtpd") $(quote "$nss") $(quote "$state/passwd.opensmtpd") $(quote "$state/group.opensmtpd") $(quote "$program") "\$@"
WRAPPER
    }
    opensmtpd_version() { bounded "$bin/opensmtpd" version 2>&1 </dev/null | sed -n 's/^version: OpenSMTPD *//p'; }
    opensmtpd_wrapper
    version=$(opensmtpd_version || true)
    if [ -z "$version" ]; then
        unpack_needs '^lib' opensmtpd
        opensmtpd_wrapper
        version=$(opensmtpd_version || true)
    fi
    if ! have unshare || ! have mount; then
        report_missing opensmtpd "there is no unshare or no mount"
    elif [ -n "$version" ]; then
        report_ok opensmtpd "$version"
    else
        why=$(bounded "$bin/opensmtpd" version 2>&1 </dev/null | head -n 1 || true)
        report_missing opensmtpd "it does not run (${why:-no output})"
    fi
}

# The directory below DIR/root that holds plug-ins of Cyrus SASL, if any.
sasl_path() {
    local d
    for d in "$root"/usr/lib/*-linux-*/sasl2; do
        [ ! -d "$d" ] || { echo "$d"; return 0; }
    done
}

# Postfix's master daemon. A test gives it a folder with main.cf and master.cf and the value of `postfix paths`, which
# names the directories that main.cf has to name. What main.cf imports of the environment must include SASL_PATH: the
# mechanisms of AUTH are plug-ins.
setup_postfix_master() {
    local libraries plugins
    if [ ! -x "$root/usr/lib/postfix/sbin/master" ]; then
        report_missing postfix "it was not unpacked (${why:-the system has its own smtp-sink})"
        return
    fi
    installed libsasl2-modules || unpack libsasl2-modules || echo "setup.sh: postfix runs without mechanisms of AUTH (${apt_problem:-$why})" >&2
    plugins=$(sasl_path)
    libraries=$(library_path)
    wrapper postfix <<WRAPPER
if [ "\${1:-}" = paths ]; then
    printf '%s\n' $(quote "command_directory = $root/usr/sbin") $(quote "daemon_directory = $root/usr/lib/postfix/sbin") \\
        $(quote "shlib_directory = $root/usr/lib/postfix")
    exit
fi
LD_LIBRARY_PATH=$(quote "$libraries")
export LD_LIBRARY_PATH
${plugins:+SASL_PATH=$(quote "$plugins")
export SASL_PATH}
exec $(quote "$root/usr/lib/postfix/sbin/master") "\$@"
WRAPPER
    report_ok postfix "$(recalled deb-postfix)"
}

setup_postfix smtp-sink
setup_postfix smtp-source
setup_postfix_master
setup_aiosmtpd
setup_aiosmtplib
setup_system smtplib "${PYTHON:-python3}" --version
setup_swaks
setup_unpacked msmtp msmtp /usr/bin/msmtp --version 3
setup_exim
setup_opensmtpd
setup_unpacked chasquid chasquid /usr/bin/chasquid -version 2
[ ! -x "$bin/chasquid" ] || library_wrapper chasquid-util "$root/usr/bin/chasquid-util"
setup_nodemailer
setup_unpacked promtool prometheus /usr/bin/promtool --version 3
setup_system curl curl --version
setup_system openssl openssl version
exit 0
