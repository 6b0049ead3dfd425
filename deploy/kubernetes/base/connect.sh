#!/bin/sh
# Writes the connection files that Sluice reads, into memory: a file for each password that the pod was given.
set -eu
umask 077
for password in /passwords/*; do
    user=$(basename "$password")
    cat >"/clients/$user.properties" <<END
bootstrap.servers=$BOOTSTRAP
security.protocol=SASL_SSL
ssl.ca.location=/authority/ca.crt
sasl.mechanism=SCRAM-SHA-512
sasl.username=$user
sasl.password=$(cat "$password")
END
done
echo "url=$REGISTRY" >/clients/registry.properties
