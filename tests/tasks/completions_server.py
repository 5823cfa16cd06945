"""An OpenAI-compatible server of one model, by transformers or with a canned answer, and with faults on demand."""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", help="what the model is called; else its path")
    parser.add_argument("--root", help="what vLLM calls its root")
    parser.add_argument("--length", type=int)
    parser.add_argument("--canned", help="every answer; nothing is loaded")
    parser.add_argument("--requests", type=Path, help="where to write the requests")
    parser.add_argument("--pids", type=Path, help="where to write the ids of this process and of a child")
    parser.add_argument("--exit", type=int, help="end at once with this status")
    parser.add_argument("--loading", action="store_true", help="answer 503 for ever")
    parser.add_argument("--fail-first", type=int, default=0, help="answer so many requests with 503")
    parser.add_argument("--die-after", type=int, help="kill this process after so many answers")
    parser.add_argument("--refuse", help="answer requests with 400 and this message")
    parser.add_argument("--text-only", action="store_true", help="take no tokens")
    parser.add_argument("--only-answers", action="store_true", help="give log-probabilities of the answer alone")
    return parser.parse_args()


class Model:
    """A model that answers by transformers."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.turn = threading.Lock()

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body["prompt"]
        ids = self.tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else prompt[0]
        inputs = self.torch.tensor([ids])
        with self.turn, self.torch.inference_mode():
            out = self.model.generate(
                inputs,
                attention_mask=self.torch.ones_like(inputs),
                do_sample=False,
                max_new_tokens=body["max_tokens"],
                pad_token_id=self.tokenizer.pad_token_id or 0,
            )
            new = out[0, len(ids) :]
            text = self.tokenizer.decode(new, skip_special_tokens=True)
            return {"text": text, "logprobs": self.logprobs(out[0]) if body.get("echo") else None}

    def logprobs(self, tokens: Any) -> dict[str, Any]:
        logits = self.model(tokens[None]).logits[0, :-1].float().log_softmax(-1)
        own = logits.gather(1, tokens[1:, None])[:, 0].tolist()
        best = logits.max(-1).values.tolist()
        return {
            "token_logprobs": [None, *own],
            "top_logprobs": [None, *({"own": mine, "best": most} for mine, most in zip(own, best, strict=True))],
        }


def handler(options: argparse.Namespace, model: Model | None) -> type[BaseHTTPRequestHandler]:
    counts = {"asked": 0, "answered": 0}
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if options.loading:
                return self.answer(503, {"error": {"message": "loading"}})
            entry = {"id": options.name or str(options.model), "root": options.root, "max_model_len": options.length}
            return self.answer(200, {"object": "list", "data": [entry]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with guard:
                counts["asked"] += 1
                asked = counts["asked"]
                if options.requests:
                    with options.requests.open("a") as stream:
                        stream.write(json.dumps(body) + "\n")
            if asked <= options.fail_first:
                return self.answer(503, {"error": {"message": "busy"}})
            if options.refuse:
                return self.answer(400, {"error": {"message": options.refuse}})
            if options.text_only and not isinstance(body["prompt"], str):
                return self.answer(400, {"detail": "prompt must be a string"})
            choice = {"text": options.canned, "logprobs": None} if model is None else model.complete(body)
            for stop in body.get("stop", []):
                choice["text"] = choice["text"].split(stop)[0]
            if options.only_answers and choice["logprobs"]:
                choice["logprobs"] = {key: values[-1:] for key, values in choice["logprobs"].items()}
            with guard:
                counts["answered"] += 1
                if options.die_after is not None and counts["answered"] > options.die_after:
                    print("CUDA error: an illegal memory access was encountered", flush=True)
                    os.kill(os.getpid(), 9)
            return self.answer(200, {"choices": [{"index": 0, **choice}]})

        def answer(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            """Keep the log short."""

    return Handler


def main() -> None:
    options = parse()
    if options.pids:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        options.pids.write_text(f"{os.getpid()} {child.pid}")
    if options.exit is not None:
        print("no kernel image is available", flush=True)
        sys.exit(options.exit)
    model = Model(options.model) if options.canned is None else None
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler(options, model))
    print(f"listening since {time.time():.0f}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
