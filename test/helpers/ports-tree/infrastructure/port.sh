# One target of one port, for the flavor and the subpackage that FULLPKGPATH names.
set -eu
target=$1
words=${FULLPKGPATH#"$PORT"}
flavors='' wanted=''
for word in $(echo "$words" | tr ',' ' '); do
	case $word in -*) wanted=$word ;; *) flavors="$flavors-$word" ;; esac
done
flavor_path=$(echo "$flavors" | sed 's/-/,/g')

name_of() {
	case $1 in ''|-main) echo "$PKGSTEM-$VERSION$flavors" ;; *) echo "$PKGSTEM$1-$VERSION$flavors" ;; esac
}
path_of() {
	case $1 in '') echo "$PORT$flavor_path" ;; *) echo "$PORT$flavor_path,$1" ;; esac
}
subpackages() {
	if [ -n "$wanted" ]; then echo "$wanted"; elif [ -n "$SUBPACKAGES" ]; then echo "$SUBPACKAGES"; else echo ''; fi
}

if [ -n "${show:-}" ]; then
	[ "$show" = PKGNAMES ] || { echo "show=$show is not known" >&2; exit 1; }
	names=''
	if [ -n "$(subpackages)" ]; then
		for sub in $(subpackages); do names="$names$(name_of "$sub") "; done
	else
		names="$(name_of '') "
	fi
	echo "${names% }"
	exit 0
fi

work=$PORTSDIR/pobj/$PKGSTEM-$VERSION$flavors
packages=$PORTSDIR/packages/$ARCH/all
[ "$target" != clean ] || { rm -rf "$work"; exit 0; }
[ "$target" = package ] || exit 0

build_once() {
	[ ! -e "$work/.built" ] || return 0
	echo "===>  Building for $PKGSTEM-$VERSION$flavors"
	mkdir -p "$work/fake"
	(cd "$work" && WRKINST=$work/fake FLAVORS=$flavors sh -e "$PORTSDIR/$PORT/files/build")
	touch "$work/.built"
}

package_one() {
	file=$packages/$(name_of "$1").tgz
	[ ! -e "$file" ] || { echo "===>  $file is packaged already"; return 0; }
	build_once
	echo "===>  Building package for $(name_of "$1")"
	mkdir -p "$packages"
	NAME=$(name_of "$1") PKGPATH=$(path_of "$1") FAKE=$work/fake SUB=$1 \
	    "$NODE" "$PORTSDIR/infrastructure/pkg_create.mjs" "$file.part"
	mv "$file.part" "$file"
}

if [ -n "$(subpackages)" ]; then for sub in $(subpackages); do package_one "$sub"; done; else package_one ''; fi
[ -z "${BULK:-}" ] || rm -rf "$work"
