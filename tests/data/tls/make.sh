#!/bin/sh
# Makes the certificates of the TLS tests anew: a test CA, and servers' certificates signed by it, from 2020 to 2120 but
# for the one that is out of date. Only the tests trust this CA, whose key is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat > "$work/ca.cnf" <<CONFIG
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
CONFIG
: > "$work/index"

request() { # name, common name
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" \
        -subj "/CN=$2" 2>/dev/null
}

sign() { # name, from, to, extensions, options
    printf '%b' "$4" > "$work/$1.ext"
    openssl ca -batch -notext -config "$work/ca.cnf" -keyfile "$work/ca.key" -in "$work/$1.csr" -out "$work/$1.crt" \
        -startdate "$2" -enddate "$3" -extfile "$work/$1.ext" $5 2>/dev/null
}

server() { # name, subject's alternative names, to
    request "$1" "$1"
    sign "$1" 20200101000000Z "$3" "subjectAltName=$2\nextendedKeyUsage=serverAuth\n" "-cert ca.pem"
    cat "$work/$1.crt" "$work/$1.key" > "$1.pem"
}

request ca "mailworker test CA"
sign ca 20200101000000Z 21200101000000Z \
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n" -selfsign
cp "$work/ca.crt" ca.pem
server good "IP:127.0.0.1,DNS:localhost" 21200101000000Z
server other-host "DNS:other.test" 21200101000000Z
server expired "IP:127.0.0.1,DNS:localhost" 20210101000000Z
