#!/usr/bin/env python3
"""A bot: answers every text message with its own words. Python's standard library and tacet are all it needs.

    examples/echo.py [OPTIONS OF TACET]         for instance: examples/echo.py --home ~/bot-home

Kill it whenever you like. Its cursor moves only when it says `handed`, so it meets again whatever it had not dealt with; its answers carry an id made from
the message that they answer, so that the same answer is sent once, however often the message comes.
"""
import hashlib, json, os, subprocess, sys

CURSOR = "echo"
NEWS = {"message", "gap", "notice", "waiting"}  # events after which there may be something to receive


class Engine:
    """JSON-RPC over `tacet rpc`: one object a line. Events may come at any time between the answers."""

    def __init__(self, options):
        program = [os.environ.get("TACET", "tacet"), *options, "rpc"]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.asked, self.events = 0, []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("tacet rpc has ended; start me again, and I go on where I was")
        return json.loads(line)

    def call(self, method, **params):
        self.asked += 1
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}) + "\n")
        self.process.stdin.flush()
        while (answer := self.read()).get("id") != self.asked:
            self.events.append(answer["params"])
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def wait_for_news(self):
        while True:
            event = self.events.pop(0) if self.events else self.read()["params"]
            if event["event"] in NEWS:
                return


def deal_with(engine, message):
    if message["event"] != "message" or message["text"] is None:
        return  # a gap, a notice, or something that a newer tacet can show
    answer = hashlib.sha256(f"{CURSOR} {message['conversation']} {message['id']}".encode()).hexdigest()[:32]
    try:
        engine.call("send", to=message["conversation"], text=message["text"], reply_to=message["id"], id=answer)
    except RuntimeError as why:  # blocked meanwhile, or their key has changed: nothing that another try would better
        print(f"no answer to {message['conversation']}: {why}", file=sys.stderr)
    print(message["conversation"], message["id"], flush=True)


def serve(engine):
    engine.call("subscribe")
    while True:
        messages = engine.call("receive", cursor=CURSOR)
        for message in messages:
            deal_with(engine, message)
            engine.call("handed", cursor=CURSOR, ids=[message["id"]])
        if not messages:
            engine.wait_for_news()


try:
    serve(Engine(sys.argv[1:]))
except (KeyboardInterrupt, BrokenPipeError):
    pass
