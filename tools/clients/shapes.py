"""Cuts SageMaker's service model, as botocore ships it, down to the operations of the local platform, without its texts.

    .tools/clients/bin/python tools/clients/shapes.py > internal/local/sagemaker/shapes.json

botocore is Amazon.com's, under the Apache License 2.0. The order of members is kept. clients_test.go holds that the committed file is what this makes.
"""

import json
import sys

import botocore.loaders

OPERATIONS = """
    CreateEndpointConfig DescribeEndpointConfig ListEndpointConfigs DeleteEndpointConfig
    CreateEndpoint DescribeEndpoint ListEndpoints UpdateEndpoint UpdateEndpointWeightsAndCapacities DeleteEndpoint
    CreateModel DescribeModel ListModels DeleteModel
    CreateInferenceComponent DescribeInferenceComponent ListInferenceComponents UpdateInferenceComponent
    UpdateInferenceComponentRuntimeConfig DeleteInferenceComponent
    AddTags ListTags DeleteTags
""".split()
TEXTS = ("documentation", "documentationUrl")


def plain(value):
    """A value without texts."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in TEXTS}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def reached(model, name, found):
    """Adds to found the shapes that a shape is made of, and itself."""
    if name in found:
        return
    shape = found[name] = plain(model["shapes"][name])
    for ref in [*shape.get("members", {}).values(), *(shape[part] for part in ("member", "key", "value") if part in shape)]:
        reached(model, ref["shape"], found)


def main():
    model = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    operations, shapes = {}, {}
    for name in sorted(OPERATIONS):
        operations[name] = plain(model["operations"][name])
        for ref in [*(operations[name][end] for end in ("input", "output") if end in operations[name]), *operations[name].get("errors", [])]:
            reached(model, ref["shape"], shapes)
    parts = [("operations", operations), ("shapes", dict(sorted(shapes.items())))]
    lines = [f'"{part}":{{\n' + ",\n".join(f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in held.items()) + "}" for part, held in parts]
    sys.stdout.write("{" + ",\n".join([f'"metadata":{json.dumps(plain(model["metadata"]), separators=(",", ":"))}', *lines]) + "}\n")


if __name__ == "__main__":
    main()
