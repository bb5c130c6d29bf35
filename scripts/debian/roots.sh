# Roots of Debian: made bare by debootstrap, entered, and removed. To be sourced.
#
# Needs root. Whatever is mounted and started is so in namespaces of its own, which end
# with the script, so that nothing can stay.

declare -A suites=([12]=bookworm [13]=trixie)

need_roots() {  # is to be called first
    (( EUID == 0 )) || die "roots can be made by root only" "run this as root, or by sudo"
    command -v debootstrap >/dev/null ||
        die "debootstrap is missing" "apt-get install debootstrap"
}

# The mirror is the one that this machine uses, if it is a Debian.
mirror() {
    local found
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1) || true
    echo "${found:-http://deb.debian.org/debian}"
}

# What debootstrap makes is kept in DICOMFS_ROOTS if that is set, as it takes minutes.
make_root() {  # make_root RELEASE FOLDER
    local suite=${suites[$1]}
    mkdir -p "$2"
    if find_kept "$suite" "$2"; then return; fi
    debootstrap --variant=minbase "$suite" "$2" "$(mirror)" >"$2.log" 2>&1 || {
        tail -n 20 "$2.log" >&2
        die "debootstrap could not make a root of Debian $1" "see its own words above"
    }
    # A root that is thrown away need not outlive a power cut.
    echo force-unsafe-io >"$2/etc/dpkg/dpkg.cfg.d/roots"
    # Every installed system has these; fusermount3 of Debian 12 wants the first to unmount.
    ln -s /proc/self/mounts "$2/etc/mtab" 2>/dev/null || true
    [[ -e $2/etc/hosts ]] || echo "127.0.0.1 localhost" >"$2/etc/hosts"
    keep "$suite" "$2"
}

find_kept() {  # find_kept NAME FOLDER: unpacks what was kept by this name, if anything was
    [[ -f ${DICOMFS_ROOTS:-/nonexistent}/$1.tar ]] && tar -C "$2" -xf "$DICOMFS_ROOTS/$1.tar"
}

keep() {  # keep NAME FOLDER
    if [[ -n ${DICOMFS_ROOTS:-} && ! -f $DICOMFS_ROOTS/$1.tar ]]; then
        tar -C "$2" -cf "$DICOMFS_ROOTS/$1.tar.new" .
        mv "$DICOMFS_ROOTS/$1.tar.new" "$DICOMFS_ROOTS/$1.tar"
    fi
}

# The settings of pip come from whoever calls: names of indexes, and its certificates. Of the
# mounts of this machine nothing stays behind the new root: one that is unmounted outside
# would live on here, and so would what serves it, and the drive would stay locked.
enter_root() {  # enter_root FOLDER COMMAND...
    local root=$1 certificates=${PIP_CERT:-} settings=()
    shift
    if [[ -n $certificates && -f $certificates ]]; then
        install -D -m 644 "$certificates" "$root/run/certificates.pem"
        settings+=(PIP_CERT=/run/certificates.pem)
    fi
    settings+=(${PIP_INDEX_URL:+"PIP_INDEX_URL=$PIP_INDEX_URL"})
    settings+=(${PIP_DEFAULT_TIMEOUT:+"PIP_DEFAULT_TIMEOUT=$PIP_DEFAULT_TIMEOUT"})
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        mount --make-rprivate /
        mount --bind "$0" "$0"    # so that it is a mount, as the root of a system is
        mount --rbind /dev "$0/dev"
        mount -t sysfs -o ro sys "$0/sys"
        mount -t proc proc "$0/proc"
        cd "$0"
        pivot_root . mnt
        umount --lazy /mnt
        exec "$@"' "$root" /usr/bin/env -i "${settings[@]}" \
        HOME=/root LC_ALL=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Called outside of the namespaces, where a root is a folder and nothing else.
remove_root() {  # remove_root FOLDER
    rm -rf --one-file-system "$1" "$1.log"
}
