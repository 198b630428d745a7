"""vLLM's side of ``vllm_cpu.py``, in vLLM's own environment: prompts come in, texts go out."""

import sys
from multiprocessing.connection import Client


def main(address: str, model: str, dtype: str, max_tokens: str, *eos: str) -> None:
    """Answer until nothing more comes."""
    from vllm import LLM, SamplingParams

    llm = LLM(
        model,
        dtype=dtype,
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        max_model_len=1024,
        max_num_seqs=256,
    )
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=int(max_tokens),
        stop_token_ids=[int(token) for token in eos],
        detokenize=False,
    )
    with Client(address) as connection:
        connection.send("ready")
        while (prompts := connection.recv()) is not None:
            asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
            outputs = llm.generate(asked, sampling, use_tqdm=False)
            connection.send([list(output.outputs[0].token_ids) for output in outputs])


if __name__ == "__main__":
    main(*sys.argv[1:])
