#!/bin/sh
# Build the image with buildah, start it as its user, and predict. BUILD_ARGS goes to `buildah build`.
set -eu
cd "$(dirname "$0")/.."
tag=modelhost-test port=${PORT:-18080}
buildah build --isolation chroot ${BASE:+--build-arg "BASE=$BASE"} ${BUILD_ARGS:-} -f deploy/Dockerfile -t "$tag" .
container=$(buildah from --pull-never "$tag")
trap 'kill "${server:-}" 2>/dev/null; wait; buildah rm "$container" >/dev/null' EXIT
buildah run --isolation chroot "$container" -- sh -c 'test "$(id -u)" = 10001 && modelhost --version'
buildah run --isolation chroot --volume "$PWD/examples/models:/models:ro" "$container" -- \
	modelhost serve wine.flm --host 127.0.0.1 --port "$port" &
server=$!
for second in $(seq 120); do
	curl -fs "http://127.0.0.1:$port/readyz" >/dev/null && break
	kill -0 "$server" && sleep 1
done
example=$(curl -fs "http://127.0.0.1:$port/api/models/wine/metadata" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["examples"][0]))')
curl -fs "http://127.0.0.1:$port/api/models/wine/predict" -H "Content-Type: application/json" -d "$example"
printf '\nThe image predicts. buildah reports the stop of the server as an error.\n'
