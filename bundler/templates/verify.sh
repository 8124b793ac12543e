content() {
    tail -c +{offset} "$file"
}

digest() {
    if command -v sha256sum > /dev/null; then sha256sum
    elif command -v shasum > /dev/null; then shasum -a 256
    elif command -v openssl > /dev/null; then openssl dgst -sha256 -r
    else fail "sha256sum, shasum and openssl are missing" "install one of them"
    fi
}

verify() {
    sum=$(content | digest) || exit 1
    [ "${sum%% *}" = "$sha256" ] || fail "$file is damaged" "copy it again"
}
