#!/bin/sh
# Shows what stands in a topic of yours: place, key and value. A value of NULL is a recall.
#
#   ./kcat.sh NAME.properties customers -e       what is there
#   ./kcat.sh NAME.properties control            what is there, and what comes; other options are kcat's own
#
# It reads only what is committed. Values are Avro: a zero byte, the schema's id in four, the record. Text in them can be
# read, and the rest cannot; some bytes look like a line's end. It keeps nothing, and it acknowledges nothing: an acknowledgement is an Avro record, which
# consumer.py writes when the deletion is durable.
#
# `kcat -V` has to say librdkafka 2.6.1 or later: with an older one Kafka 4 refuses the password (kcat issue 462).
set -eu

properties=${1:?"name the properties file: ./kcat.sh NAME.properties customers -e"}
topic=${2:?"name the topic: customers or control"}
shift 2
partner=$(sed -n 's/^sasl\.username=//p' "$properties")
partner=${partner:-$(basename "$properties" .properties)}    # who logs in with a certificate is called as its file

# -Z: a null is written as NULL, and an empty value as nothing
exec kcat -F "$properties" -X isolation.level=read_committed -C -Z -q -o beginning \
    -t "partner.$partner.$topic" -f '%t/%p@%o\t%k\t%s\n' "$@"
