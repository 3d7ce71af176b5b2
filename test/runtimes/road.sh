#!/usr/bin/env bash
# road.sh MAKER CLIENT: a short road below the current folder, on the trees old and new there, with two launchers.
set -euo pipefail
maker=$1 client=$2

"$maker" init -r repo -k keys --no-passphrase
"$maker" cut old -o a.tar.zst --product base --revision 1.0 --date 20260101 --arch amd64
"$maker" cut new -o b.tar.zst --product base --revision 1.1 --date 20260201 --arch amd64
"$maker" publish -r repo -k keys a.tar.zst
"$maker" publish -r repo -k keys b.tar.zst
"$maker" fsck -r repo
"$maker" delta a.tar.zst b.tar.zst -o d
"$client" patch d a.tar.zst | cmp - <(zstd -dc b.tar.zst)

cp -a old machine
"$client" -q -C machine enroll "file://$PWD/repo/" repo/metadata/1.root.json base/amd64
"$client" -C machine check -e && exit 1 || [ $? = 10 ]
"$client" -C machine install
"$client" -C machine audit
"$client" -C machine check -e
diff -r --no-dereference -x var machine new
"$client" -C machine rollback
"$client" -C machine audit
diff -r --no-dereference -x var machine old
"$client" -C machine list --json >/dev/null
