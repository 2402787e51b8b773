#!/bin/sh
# Makes the certificates of the TLS tests, valid from 2024 for a century (but for the one that has expired). Needs openssl; the tests do not.
# The authority's key is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/index.txt"
cat > "$work/ca.cnf" <<CNF
[ca]
default_ca = d
[d]
database = $work/index.txt
rand_serial = yes
new_certs_dir = $work
default_md = sha256
policy = p
unique_subject = no
[p]
organizationName = optional
commonName = supplied
CNF
# sign NAME COMMON_NAME EXTENSIONS START END WITH…
sign() {
    name=$1 subject=$2 extensions=$3 start=$4 end=$5
    shift 5
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/$name.key"
    openssl req -new -key "$work/$name.key" -subj "/O=plait tests/CN=$subject" -out "$work/$name.csr"
    printf '%b\nsubjectKeyIdentifier=hash\n' "$extensions" > "$work/extensions"
    openssl ca -batch -config "$work/ca.cnf" -in "$work/$name.csr" -notext -extfile "$work/extensions" \
        -startdate "$start" -enddate "$end" -out "$work/$name.crt" "$@" 2> /dev/null
}
leaf() {
    sign "$1" "$2" "$3\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid" "$4" "$5" \
        -cert "$work/authority.crt" -keyfile "$work/authority.key"
    cat "$work/$1.key" "$work/$1.crt" > "$1.pem"
}
from=20240101000000Z to=21240101000000Z
sign authority "plait test authority" "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign" $from $to \
    -selfsign -keyfile "$work/authority.key"
cp "$work/authority.crt" authority.pem
leaf localhost localhost "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1" $from $to
leaf other other.example "subjectAltName=DNS:other.example" $from $to
leaf expired localhost "subjectAltName=DNS:localhost,IP:127.0.0.1" 20200101000000Z 20210101000000Z
leaf client "a client" "subjectAltName=email:client@plait.example" $from $to
