"""A server between the agent and the real etcd tells lies. Each gives a sentence, none a crash, none takes a peer away."""

import contextlib
import http.server
import json
import re
import socket
import threading
import urllib.error
import urllib.request

import etcd_server
from agent_lab import SWITCH, Lab, Switch, say, wait_until

PORT = 2300


def changed(find, replacement):
    return lambda body: re.sub(find, replacement, body)


def emptied(body):
    answer = json.loads(body)
    for name in ("kvs", "count"):
        answer.pop(name, None)
    return answer


def other_cluster(body):
    answer = emptied(body)
    answer["header"]["cluster_id"] = "4711"
    return json.dumps(answer)


def older(body):
    answer = emptied(body)
    answer["header"]["revision"] = "1"
    return json.dumps(answer)


# name -> (path, what becomes of the body, a part of the sentence that is expected)
BODIES = {
    "misspelt header": ("range", changed('"header"', '"hedder"'), "unknown field hedder"),
    "misspelt revision": ("range", changed('"revision"', '"revison"'), "unknown field revison"),
    "misspelt kvs": ("range", changed('"kvs"', '"kvss"'), "unknown field kvss"),
    "kvs left out": ("range", changed(r'"kvs":\[.*\],', ""), "as many keys as it says"),
    "value left out": ("range", changed(r',"value":"[^"]*"', ""), "has no value"),
    "wrong base64": ("range", changed(r'"key":"L', '"key":"!'), "is not base64"),
    "a number that is none": ("range", changed(r'"mod_revision":"\d+"', '"mod_revision":"many"'), "is no number"),
    "200 with an error": ("range", lambda body: '{"error":"etcdserver: mvcc: corrupt","code":13}', "mvcc: corrupt"),
    "cut off": ("range", lambda body: body[:len(body) // 2], "makes no sense"),
    "empty": ("range", lambda body: "", "makes no sense"),
    "a web page": ("range", lambda body: "<html>welcome</html>", "makes no sense"),
    "a list": ("range", lambda body: "[]", "is no object"),
    "too deep": ("range", lambda body: "[" * 100000, "makes no sense"),
    "another cluster, empty": ("range", other_cluster, "another etcd cluster"),
    "an older state, empty": ("range", older, "revision went back"),
    "renewal without id": ("keepalive", changed('"ID"', '"Id"'), "unknown field Id"),
    "renewal refused": ("keepalive", lambda body: '{"error":{"grpc_code":14,"message":"no leader"}}', "no leader"),
}
LINES = {
    "a line of garbage": ("garbage\n", "makes no sense"),
    "a misspelt deletion": ('{"result":{"header":HEADER,"events":[{"typ":"DELETE","kv":KEY}]}}\n', "unknown field typ"),
    "an event without key": ('{"result":{"header":HEADER,"events":[{"type":"DELETE"}]}}\n', "has no kv"),
    "a key that is not base64": ('{"result":{"header":HEADER,"events":[{"type":"DELETE","kv":{"key":"%"}}]}}\n',
                                 "not base64"),
    "a deletion from another cluster": ('{"result":{"header":{"cluster_id":"1","revision":"99"},'
                                        '"events":[{"type":"DELETE","kv":KEY}]}}\n', "another etcd cluster"),
    "cancelled": ('{"result":{"header":HEADER,"canceled":true,"cancel_reason":"tired"}}\n', "tired"),
    "an error": ('{"error":{"grpc_code":8,"message":"too many"}}\n', "too many"),
}


class Liar:
    """`lie` is a name of BODIES or LINES, or "status", "redirect", "hang up", "end"; None: the truth."""

    def __init__(self, truth):
        self.truth, self.lie, self.streams = truth, None, []
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                liar.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((SWITCH, PORT), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def tell(self, lie):
        self.lie = lie
        streams, self.streams = self.streams, []
        for stream in streams:
            with contextlib.suppress(OSError):  # it is gone already
                stream.shutdown(socket.SHUT_RDWR)  # so that the agent connects anew

    def answer(self, handler, question):
        try:
            if handler.path == "/v3/watch":
                self.stream(handler, question)
            else:
                self.once(handler, question)
        except (OSError, ValueError):
            handler.close_connection = True

    def once(self, handler, question):
        request = urllib.request.Request(self.truth + handler.path, question)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                status, body = 200, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        missing, headers = 0, {}
        if self.lie in BODIES and handler.path.endswith(BODIES[self.lie][0]):
            body = BODIES[self.lie][1](body)
        elif self.lie == "status":
            status, body = 503, "busy"
        elif self.lie == "redirect":
            status, body, headers = 307, "", {"Location": self.truth + handler.path}
        elif self.lie == "hang up":
            missing = 10
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body) + missing), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body.encode())
        handler.close_connection = True

    def stream(self, handler, question):
        if self.lie in BODIES:  # a watch that cannot go on makes the agent ask for a list
            reply = {"result": {"header": HEADER, "canceled": True, "compact_revision": "1"}}
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write((json.dumps(reply) + "\n").encode())
            handler.close_connection = True
            return
        handler.send_response(200)
        handler.end_headers()
        if self.lie in LINES:
            handler.wfile.write(filled(LINES[self.lie][0]).encode())
        if self.lie in LINES or self.lie == "end":
            handler.close_connection = True
            return
        self.streams.append(handler.connection)
        with urllib.request.urlopen(urllib.request.Request(self.truth + handler.path, question), timeout=600) as source:
            for line in source:
                handler.wfile.write(line)
                handler.wfile.flush()


HEADER, KEY = {}, {}


def filled(line):
    return line.replace("HEADER", json.dumps(HEADER)).replace("KEY", json.dumps(KEY))


def main():
    program = etcd_server.unpacked()
    with Lab(duplicate_detection=False) as lab:
        switch = Switch(lab)
        etcd = etcd_server.Cluster(program, "/run/lab/etcd", address=SWITCH).start()
        liar = Liar(etcd.endpoints[0])
        host, other = switch.host(), switch.host()
        other.configure({"type": "etcd", "endpoints": etcd.endpoints})
        host.configure({"type": "etcd", "endpoints": [f"http://{SWITCH}:{PORT}"], "leaseSeconds": 4})
        for each in (host, other):
            each.start()
        for each in (host, other):
            each.settle(2)
        key = next(key for key, value in etcd.keys().items() if "/block/" in key and '"host2"' in value)
        KEY.update(key=etcd_server.encode(key), mod_revision="99")
        HEADER.update(etcd.call("kv/range", {"key": KEY["key"]})["header"])
        process, whole = host.process, host.entries()
        whole_lease = host.blocks
        sentences = {name: part for name, (_, _, part) in BODIES.items()} | {name: part for name, (_, part) in LINES.items()}
        sentences |= {"status": "503", "redirect": "redirect", "hang up": "gives no answer", "end": "ended the watch"}
        for name, sentence in sentences.items():
            liar.tell(name)
            wait_until(lambda: sentence in host.log, f"the lie is named: {name} ({sentence})")
            assert process.poll() is None, f"{name}: the agent died\n{host.log}"
            assert host.entries() == whole, f"{name}: entries changed"
            liar.tell(None)
            host.settle(2)
            assert host.blocks == whole_lease
            open(f"{host.folder}/log", "w", encoding="utf-8").close()
        say(f"{len(sentences)} lies: each named, none believed")
        etcd.stop()


main()
