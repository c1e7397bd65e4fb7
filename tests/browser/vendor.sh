#!/usr/bin/env bash
# Refreshes what the viewer's page holds of others, src/threadweaver/viewer/static/vendor/, from the registry's packages.
#   tests/browser/vendor.sh      the versions below; with others, change them here and run the browser tests
set -euo pipefail
TEMML=0.13.5
STIX_TWO_MATH=5.3.0   # the package; the font's own version is in its LICENSE

into="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/src/threadweaver/viewer/static/vendor"
command -v npm >/dev/null || { echo "npm not found: install it (apt-get install npm)" >&2; exit 3; }
scratch="$(mktemp -d)"
trap 'rm -r "$scratch"' EXIT

# Unpacks NAME@VERSION into a folder of the scratch and prints that folder.
unpack() {
  local folder="$scratch/$2"
  mkdir "$folder"
  (cd "$folder" && npm pack --silent "$1" >name && tar xzf "$(cat name)")
  echo "$folder/package"
}

temml="$(unpack "temml@$TEMML" temml)"
font="$(unpack "@fontsource/stix-two-math@$STIX_TWO_MATH" font)"
mkdir -p "$into"
cp "$temml/dist/temml.min.js" "$temml/dist/Temml-STIX2.css" "$into/"
cp "$font/files/stix-two-math-latin-400-normal.woff2" "$into/STIXTwoMath.woff2"   # the name in Temml-STIX2.css
cp "$temml/LICENSE" "$into/LICENSE-temml.txt"
cp "$font/LICENSE" "$into/LICENSE-STIXTwoMath.txt"
chmod 644 "$into"/*
cat >"$into/README.md" <<TEXT
# Made by others

Copied unchanged by \`tests/browser/vendor.sh\`, which names the versions.

| file | package | version | licence |
|---|---|---|---|
| temml.min.js, Temml-STIX2.css | temml | $TEMML | [MIT](LICENSE-temml.txt) |
| STIXTwoMath.woff2 | @fontsource/stix-two-math | $STIX_TWO_MATH | [OFL 1.1](LICENSE-STIXTwoMath.txt) |
TEXT
