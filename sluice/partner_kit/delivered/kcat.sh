#!/bin/sh
# Shows what stands in your topics, as it is on the wire: a key and a value a line, `null` for a recall.
#
#   ./kcat.sh NAME.properties            what is there
#   ./kcat.sh NAME.properties -f         what is there, and what comes
#
# It reads only what is committed. Values are Avro: they begin with a zero byte and the schema's id in four, so text fields
# can be read and the rest cannot. It keeps nothing and acknowledges nothing: an acknowledgement is an Avro record, and
# consumer.py writes it once the deletion is durable.
set -eu

properties=${1:?"name the properties file: ./kcat.sh NAME.properties"}
partner=$(sed -n 's/^sasl\.username=//p' "$properties")
until_end=-e
[ "${2:-}" = -f ] && until_end=

for topic in control customers; do
    # -Z: a null is written as NULL, and an empty value as nothing
    kcat -F "$properties" -X isolation.level=read_committed -X "group.id=partner.$partner.kcat" \
        -C -Z -q -o beginning ${until_end:+"$until_end"} -t "partner.$partner.$topic" \
        -f '%t/%p@%o\t%k\t%s\n' &
done
wait
