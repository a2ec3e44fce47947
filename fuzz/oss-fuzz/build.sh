#!/bin/bash -eu
# Every fuzz target with its seeds, in $OUT, as OSS-Fuzz asks. It also runs outside of it, where fuzz/oss-fuzz/try calls it.
cd "$SRC/hybridge"
# cargo-fuzz builds all targets, or one.
if [ -z "${FUZZ_TARGETS:-}" ]; then cargo fuzz build -O --debug-assertions; fi
for target in ${FUZZ_TARGETS:-}; do cargo fuzz build -O --debug-assertions "$target"; done
host="$(rustc -vV | sed -n 's/^host: //p')"
for target in ${FUZZ_TARGETS:-$(cargo fuzz list)}; do
  cp "${CARGO_TARGET_DIR:-fuzz/target}/$host/release/$target" "$OUT/"
  seeds="$(mktemp -d)"
  fuzz/corpora "$target" "$(mktemp -d)" | while IFS= read -r folder; do
    # Seeds of different folders may have the same name.
    find "$folder" -type f | while IFS= read -r file; do cp "$file" "$seeds/$(sha1sum < "$file" | cut -c1-40)"; done
  done
  rm -f "$OUT/${target}_seed_corpus.zip"
  [ -z "$(ls -A "$seeds")" ] || zip -jqr "$OUT/${target}_seed_corpus.zip" "$seeds"
  printf '[libfuzzer]\nrss_limit_mb = 4096\ntimeout = 10\n' > "$OUT/$target.options"
  rm -rf "$seeds"
done
