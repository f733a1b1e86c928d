#!/usr/bin/env python3
"""Writes a value to Causeway, reads it back and sees the change arrive, with nothing but gRPC.

    python3 example.py --endpoint 127.0.0.1:7400 --namespace demo --collection profiles anna '{"city":"Oslo"}'

The collection is one of merge type register-lww. Prints one JSON object per step. README.md beside this file says how to make
the folder `gen`.
"""

import argparse
import json
import pathlib
import sys
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description="write, read and watch one key")
    parser.add_argument("--endpoint", default="127.0.0.1:7400")
    parser.add_argument("--namespace", default="demo")
    parser.add_argument("--collection", default="profiles")
    parser.add_argument("--gen", default="gen", help="where generate.sh has put its files")
    parser.add_argument("--deadline", type=float, default=10, help="seconds for each call")
    parser.add_argument("--ca", help="with TLS: the CA that signs the nodes' certificates")
    parser.add_argument("--cert", help="with mutual TLS: the certificate to show, and --cert-key")
    parser.add_argument("--cert-key")
    parser.add_argument("key")
    parser.add_argument("value")
    return parser.parse_args()


ARGS = arguments()
sys.path.insert(0, ARGS.gen)

import grpc  # noqa: E402
from causeway.v1 import data_pb2, data_pb2_grpc  # noqa: E402


def channel():
    # Reads that fail on the way are tried again by gRPC itself, as this file says.
    config = (HERE.parent / "service-config.json").read_text()
    options = [("grpc.service_config", config), ("grpc.enable_retries", 1)]
    if not ARGS.ca and not ARGS.cert:
        return grpc.insecure_channel(ARGS.endpoint, options)

    def content(path):
        return pathlib.Path(path).read_bytes() if path else None

    credentials = grpc.ssl_channel_credentials(content(ARGS.ca), content(ARGS.cert_key), content(ARGS.cert))
    return grpc.secure_channel(ARGS.endpoint, credentials, options)


def say(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def write(data, key, value):
    # A retry with the same idempotency key and the same issued_at_ms takes effect once, however often it is sent.
    request = data_pb2.WriteRequest(
        namespace=ARGS.namespace,
        collections=[ARGS.collection],
        ops=[data_pb2.WriteOp(collection=0, key=key, put=value.encode(), idempotency_key=str(uuid.uuid4()))],
        issued_at_ms=int(time.time() * 1000),
        want_versions=True,
    )
    for attempt in range(5):
        try:
            response = data.Write(request, timeout=ARGS.deadline)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == 4:
                raise
            time.sleep(0.1 * 2**attempt)
            continue
        # An OK status says nothing about single ops: those that failed stand in the response.
        if response.failed:
            error = response.errors[response.failed_error[0]]
            raise SystemExit(f"{error.code}: {error.message} ({error.hint})")
        return response
    raise AssertionError("not reached")


def read(data, key, session):
    # With the session of a write: what it wrote, or something newer, in whatever region this is asked.
    request = data_pb2.ReadRequest(
        namespace=ARGS.namespace,
        collection=ARGS.collection,
        keys=[key],
        consistency=data_pb2.CONSISTENCY_CAUSAL,
        session=session,
    )
    return data.Read(request, timeout=ARGS.deadline).views[0].register


def events(responses):
    for response in responses:
        for shard in response.shards:
            for event in shard.events:
                yield response.origins[event.origin], event


def explain(error):
    """What Causeway says of a failed call: its code, what became of a write, and what to do."""
    for name, value in error.trailing_metadata() or ():
        if name == "causeway-error-bin":
            detail = data_pb2.ErrorDetail.FromString(value)
            outcome = data_pb2.Outcome.Name(detail.outcome)
            return {"code": detail.code, "retriable": detail.retriable, "outcome": outcome, "message": detail.message}
    return {"code": error.code().name, "message": error.details()}


def main():
    with channel() as to_node:
        data = data_pb2_grpc.DataStub(to_node)
        topology = data.GetTopology(data_pb2.GetTopologyRequest(), timeout=ARGS.deadline, wait_for_ready=True)
        say("connected", region=topology.region, version=topology.version)

        changes = data.Subscribe(
            data_pb2.SubscribeRequest(
                namespace=ARGS.namespace, collections=[ARGS.collection], key_prefix=ARGS.key, now=True
            ),
            timeout=60,
        )
        next(changes)  # the first message says that the subscription stands

        response = write(data, ARGS.key, ARGS.value)
        say("written", shard=response.shards[response.op_shard[0]], seq=response.op_seq[0])

        register = read(data, ARGS.key, response.session)
        say("read", value=register.value.decode(), origin=register.version.origin, seq=register.version.seq)

        for origin, event in events(changes):
            if event.key == ARGS.key:
                say("changed", key=event.key, value=event.put.decode(), origin=origin, seq=event.seq)
                break
        changes.cancel()

        try:
            data.Read(
                data_pb2.ReadRequest(namespace=ARGS.namespace, collection="no-such-collection", keys=["x"]),
                timeout=ARGS.deadline,
            )
        except grpc.RpcError as error:
            say("refused", **explain(error))


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        print(json.dumps({"step": "failed", **explain(error)}), file=sys.stderr)
        sys.exit(1)
