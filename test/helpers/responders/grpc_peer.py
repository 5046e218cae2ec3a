"""A gRPC server, and with arguments a client of one: `grpc_peer.py ADDRESS [CERTIFICATE]` makes calls of all kinds and tells
what came of them as JSON. Messages are plain bytes: no generated code is needed."""

import json
import sys
import threading
import time
from concurrent import futures

import grpc

LARGE = 300_000


def one(request, context):
    if request == b"fail":
        context.set_trailing_metadata((("x-why", "because"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "it was asked to, for 100 %")
    if request == b"sleep":
        time.sleep(5)
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-echo", str(metadata.get("x-sent", ""))),))
    return b"re:" + request


def produce(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def consume(requests, context):
    sizes = [len(request) for request in requests]
    return b"%d %d" % (len(sizes), sum(sizes))


def converse(requests, context):
    for request in requests:
        yield request.upper()


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(one),
        "Produce": grpc.unary_stream_rpc_method_handler(produce),
        "Consume": grpc.stream_unary_rpc_method_handler(consume),
        "Converse": grpc.stream_stream_rpc_method_handler(converse),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Peer", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def fault(error):
    trailers = dict(error.trailing_metadata() or ())
    return {"code": error.code().name, "details": error.details(), "why": trailers.get("x-why")}


def call(address, certificate):
    told = {}
    if certificate is None:
        channel = grpc.insecure_channel(address)
    else:
        with open(certificate, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", "localhost"),))
    with channel:
        unary = channel.unary_unary("/test.Peer/One")
        answer, details = unary.with_call(b"hello", metadata=(("x-sent", "value"),), timeout=10)
        told["unary"] = [answer.decode(), dict(details.initial_metadata()).get("x-echo")]
        told["large"] = len(unary(b"x" * LARGE, timeout=10))
        for name, request, timeout in (("error", b"fail", 10), ("deadline", b"sleep", 0.3)):
            try:
                unary(request, timeout=timeout)
            except grpc.RpcError as error:
                told[name] = fault(error)
        try:
            channel.unary_unary("/test.Peer/Nothing")(b"", timeout=10)
        except grpc.RpcError as error:
            told["unknown"] = fault(error)
        told["stream"] = [m.decode() for m in channel.unary_stream("/test.Peer/Produce")(b"5", timeout=10)]
        told["many"] = len(list(channel.unary_stream("/test.Peer/Produce")(b"2000", timeout=20)))
        pieces = iter([b"a" * 1000] * 100)
        told["upload"] = channel.stream_unary("/test.Peer/Consume")(pieces, timeout=10).decode()
        told["conversation"] = converse_with(channel)
    print(json.dumps(told))


def converse_with(channel):
    """Each message is sent when the answer to the one before has come: both directions are open at once."""
    turn = threading.Semaphore(1)

    def say():
        for word in (b"one", b"two", b"three"):
            turn.acquire(timeout=5)
            yield word

    heard = []
    for answer in channel.stream_stream("/test.Peer/Converse")(say(), timeout=10):
        heard.append(answer.decode())
        turn.release()
    return heard


if len(sys.argv) > 1:
    call(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
else:
    serve()
