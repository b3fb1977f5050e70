#!/bin/sh
# radio-tls NAME CERTIFICATE KEY
# Takes a pair into use for the host's nginx: after it was checked, as a whole, and not at all when anything is wrong with it.
# Says "active" or "unchanged". Exit status 1: refused, the reason is on stderr, the pair before is still in use.
set -eu
umask 077

name=$1 certificate=$2 key=$3
place=/etc/nginx/radio-tls
figures=/var/lib/prometheus/node-exporter

refuse() {
  echo "The certificate for $name was refused, the one before stays: $1" >&2
  exit 1
}

use() {
  # A link is replaced in one step; nginx never finds a certificate with another's key.
  ln -sfn "$1" "$place/next"
  mv -T "$place/next" "$place/current"
}

# Here, because the alert must come of what is in use: a renewed certificate may lie there and never have been taken.
tell() {
  test -d "$figures" || install -d -m 0755 "$figures"
  cat >"$figures/.radio_tls" <<EOF
# HELP radio_certificate_expiry_timestamp_seconds When the certificate that the host's nginx uses ends.
# TYPE radio_certificate_expiry_timestamp_seconds gauge
radio_certificate_expiry_timestamp_seconds{name="$name"} $(date -d "$(about -enddate | cut -d= -f2)" +%s)
EOF
  chmod 0644 "$figures/.radio_tls"
  mv "$figures/.radio_tls" "$figures/radio_tls.prom"
}

leaf=$(openssl x509 -in "$certificate" 2>/dev/null) || refuse "$certificate holds no certificate in PEM form."
about() {
  printf '%s\n' "$leaf" | openssl x509 -noout "$@"
}

public=$(openssl pkey -in "$key" -pubout -passin pass: 2>/dev/null) ||
  refuse "$key holds no private key in PEM form that opens without a passphrase."
[ "$(about -pubkey)" = "$public" ] ||
  refuse "the key does not belong to it. If it is a chain, the host's own certificate must be the first in the file."

about -checkend 0 >/dev/null || refuse "it has expired, $(about -enddate)."
[ "$(date -d "$(about -startdate | cut -d= -f2)" +%s)" -le "$(date +%s)" ] ||
  refuse "it is not valid yet, $(about -startdate). Is this host's clock right?"

about -checkhost "$name" | grep -q 'does match' ||
  refuse "it is not for this name but for$(about -ext subjectAltName 2>/dev/null | sed 1d | tr -s ' \n' ' ')."

pair=$(cat -- "$certificate" "$key" | sha256sum | cut -c1-16)
before=$(readlink "$place/current" || true)
if [ "$before" = "$pair" ]; then
  tell
  echo unchanged
  exit 0
fi

mkdir -p "$place/$pair"
cat -- "$certificate" >"$place/$pair/certificate.pem"
cat -- "$key" >"$place/$pair/key.pem"
use "$pair"
if ! said=$(nginx -t -q 2>&1); then
  if [ -n "$before" ]; then use "$before"; else rm "$place/current"; fi
  rm -r "${place:?}/$pair"
  refuse "nginx can't work with it: $said"
fi
if systemctl --quiet is-active nginx.service; then systemctl reload nginx.service; fi
if [ -n "$before" ]; then rm -r "${place:?}/$before"; fi
tell
echo active
