# How trials say what they do. To be sourced.

chapter() { printf '\n# %s\n\n' "$1"; }

run() {  # run LINE: says a command line, and runs it
    printf '$ %s\n' "$1"
    bash -c "set -o pipefail; $1" </dev/null
}

as_jane() {  # as_jane LINE: the same as an ordinary user
    printf 'jane$ %s\n' "$1"
    runuser -u jane -- env HOME=/home/jane PATH="/home/jane/.local/bin:$PATH" \
        bash -c "cd; set -o pipefail; $1" </dev/null
}

quietly() {  # shows what a command says only if it fails
    local output
    output=$("$@" 2>&1 </dev/null) || { printf '%s\n' "$output"; return 1; }
}

fail() { printf 'NOT AS PROMISED: %s\n' "$1"; exit 1; }

promised() { printf '\nall of it is as promised\n'; }
