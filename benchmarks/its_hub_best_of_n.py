"""its_hub's best-of-n as a service, for ``strategies.py``: its own service offers self-consistency alone.

    PYTHON_OF_ITS_HUB benchmarks/its_hub_best_of_n.py --endpoint URL --model NAME --port N

All of it is its_hub 1.2: the service, ``BestOfN``, and ``LLMJudge`` with its own prompt, which scores from 0
to 10; the model judges itself. It runs in its_hub's environment (``versus_servers.py``) and imports nothing
of this project.
"""

from __future__ import annotations

import argparse

from its_hub.core.algorithms.bon import BestOfN
from its_hub.core.gateway import ITSGateway
from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
from its_hub.core.reward_models.llm_judge import LLMJudge
from its_hub.integration.iaas import app as service
from its_hub.integration.iaas.app_server import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--endpoint", required=True, help="of the model, with /v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    model = OpenAICompatibleLanguageModel(endpoint=asked.endpoint, api_key="none", model_name=asked.model)
    # /configure takes no other algorithm than self-consistency, so the gateway is put in its place
    state = service._state
    state.gateway = ITSGateway(BestOfN(LLMJudge(model)))
    state.config.endpoint, state.config.model, state.config.api_key = asked.endpoint, asked.model, "none"
    serve(port=asked.port)


if __name__ == "__main__":
    main()
