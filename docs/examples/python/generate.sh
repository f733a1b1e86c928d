#!/bin/sh
# Makes the Python code of Causeway's protocol from its .proto files: docs/examples/python/generate.sh [folder, default ./gen]
set -eu
proto="$(cd "$(dirname "$0")/../../../proto" && pwd)"
out="${1:-gen}"
mkdir -p "$out"
protoc -I "$proto" --python_out="$out" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" --grpc_python_out="$out" \
  "$proto"/causeway/v1/record.proto "$proto"/causeway/v1/data.proto
