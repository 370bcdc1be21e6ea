"""boto3 against the local platform's runtime, at the address in ENDPOINT. clients_test.go starts it, over http and TLS."""

import io
import json
import os
import pathlib
import ssl
import tarfile
import time
import unittest
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

ADDRESS = os.environ["ENDPOINT"]
PIRATE = pathlib.Path(__file__).parents[2] / "internal/local/demo/adapters/pirate"
BASE, ADAPTER = "spoken", "spoken-pirate"
QUESTION = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16, "temperature": 0}


def connect(service):
    return boto3.client(
        service, endpoint_url=ADDRESS, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


runtime = connect("sagemaker-runtime")


def setUpModule():
    """Makes a base with sessions from the demo base's files, and an adapter on it."""
    sagemaker, s3 = connect("sagemaker"), connect("s3")
    model = sagemaker.describe_model(ModelName="tiny-llama")
    container = model["PrimaryContainer"]
    container["Environment"]["SAGEMAKER_ENABLE_STATEFUL_SESSIONS"] = "true"
    sagemaker.create_model(ModelName=BASE, ExecutionRoleArn=model["ExecutionRoleArn"], PrimaryContainer=container)
    sagemaker.create_inference_component(
        InferenceComponentName=BASE, EndpointName="local", VariantName="main", RuntimeConfig={"CopyCount": 1},
        Specification={"ModelName": BASE, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512}})
    settle(sagemaker, BASE)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            archive.add(PIRATE / name, name)
    s3.create_bucket(Bucket="spoken")
    s3.put_object(Bucket="spoken", Key="pirate.tar.gz", Body=packed.getvalue())
    sagemaker.create_inference_component(
        InferenceComponentName=ADAPTER, EndpointName="local",
        Specification={"BaseInferenceComponentName": BASE, "Container": {"ArtifactUrl": "s3://spoken/pirate.tar.gz"}})
    settle(sagemaker, ADAPTER)
    sagemaker.close()
    s3.close()


def settle(sagemaker, name):
    for _ in range(600):
        found = sagemaker.describe_inference_component(InferenceComponentName=name)
        if found["InferenceComponentStatus"] != "Creating":
            break
        time.sleep(0.1)
    assert found["InferenceComponentStatus"] == "InService", found


def tearDownModule():
    runtime.close()


def fault(kind, resource=ADAPTER, calls=1):
    """Sets a fault of the local platform, which is no AWS service."""
    wish = json.dumps({"kind": kind, "resource": resource, "calls": calls}).encode()
    request = urllib.request.Request(ADDRESS + "/_local/faults", data=wish, headers={"Content-Type": "application/json"})
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]) if ADDRESS.startswith("https:") else None
    with urllib.request.urlopen(request, context=context) as answer:
        assert answer.status == 201


def ask(component=ADAPTER, body=QUESTION, **more):
    return runtime.invoke_endpoint(
        EndpointName="local", InferenceComponentName=component, ContentType="application/json", Body=json.dumps(body), **more)


def stream(component=ADAPTER, body=QUESTION, **more):
    return runtime.invoke_endpoint_with_response_stream(
        EndpointName="local", InferenceComponentName=component, ContentType="application/json", Body=json.dumps(body | {"stream": True}), **more)


def spoken(answer):
    return json.loads(answer["Body"].read())["choices"][0]["message"]["content"]


def told(lines):
    """The text of a stream's events."""
    events = [line[6:] for line in lines.decode().split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events
    return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])


class Runtime(unittest.TestCase):
    def refused(self, error, status, call, *args, **kwargs):
        with self.assertRaises(error) as caught:
            call(*args, **kwargs)
        response = caught.exception.response
        self.assertEqual(response["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertTrue(response["ResponseMetadata"]["RequestId"])
        return response

    def test_base_and_adapter_answer(self):
        answers = {}
        for component in (BASE, ADAPTER):
            answer = ask(component, Accept="application/json")
            self.assertEqual((answer["ContentType"], answer["InvokedProductionVariant"]), ("application/json", "main"))
            self.assertNotIn("CustomAttributes", answer)
            answers[component] = spoken(answer)
        self.assertNotEqual(answers[BASE], answers[ADAPTER])

    def test_streams_are_the_whole_answer_however_they_are_cut(self):
        whole = spoken(ask())
        for cut in (False, True):
            if cut:
                fault("cut-frames")
            answer = stream(Accept="text/event-stream")
            self.assertEqual((answer["ContentType"], answer["InvokedProductionVariant"]), ("text/event-stream; charset=utf-8", "main"))
            parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
            self.assertEqual(told(b"".join(parts)), whole)
            self.assertEqual(max(len(part) for part in parts) <= 7, cut)

    def test_sessions(self):
        opened = ask(BASE, {"requestType": "NEW_SESSION"}, SessionId="NEW_SESSION")
        session, _, ends = opened["NewSessionId"].partition("; Expires=")
        self.assertRegex(session, "^[0-9a-f-]{36}$")
        self.assertRegex(ends, "^20[0-9T:-]*Z$")
        self.assertTrue(spoken(ask(SessionId=session)))
        for _ in stream(SessionId=session)["Body"]:
            pass
        self.refused(runtime.exceptions.ValidationError, 400, stream, SessionId="NEW_SESSION")
        closed = ask(BASE, {"requestType": "CLOSE"}, SessionId=session)
        self.assertEqual(closed["ClosedSessionId"], session)
        gone = self.refused(runtime.exceptions.ModelError, 424, ask, SessionId=session)
        self.assertEqual(gone["OriginalStatusCode"], 400)
        self.assertIn("session not found", gone["OriginalMessage"])

    def test_what_the_container_refuses(self):
        for call in (ask, stream):
            said = self.refused(runtime.exceptions.ModelError, 424, call, body={"prompt": "x" * 20, "max_tokens": 100_000})
            self.assertEqual(said["OriginalStatusCode"], 400)
            self.assertIn("maximum context length", json.loads(said["OriginalMessage"])["error"]["message"])
            self.assertIn("Received client error (400) from primary with message", said["Error"]["Message"])
            self.assertEqual(said["LogStreamArn"], "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/InferenceComponents/" + BASE)

    def test_what_the_service_refuses(self):
        wrong = runtime.exceptions.ValidationError
        said = self.refused(wrong, 400, runtime.invoke_endpoint, EndpointName="none", Body=b"{}")
        self.assertEqual(said["Error"]["Message"], "Endpoint none of account 123456789012 not found.")
        said = self.refused(wrong, 400, runtime.invoke_endpoint, EndpointName="local", Body=b"{}")
        self.assertIn("Inference Component Name header is required", said["Error"]["Message"])
        said = self.refused(wrong, 400, ask, TargetVariant="other")
        self.assertIn("Variant other not found", said["Error"]["Message"])
        said = self.refused(wrong, 400, ask, TargetModel="one.tar.gz")
        self.assertIn("is not a multi-model endpoint", said["Error"]["Message"])
        said = self.refused(wrong, 400, ask, body="x" * 6_291_455)  # and its two quotes
        self.assertIn("Member must have length less than or equal to 6291456", said["Error"]["Message"])
        said = self.refused(wrong, 400, ask, CustomAttributes="x" * 1025)
        self.assertIn("Value at 'customAttributes' failed to satisfy constraint", said["Error"]["Message"])
        self.refused(wrong, 400, runtime.invoke_endpoint_async, EndpointName="local", InputLocation="s3://spoken/in.json")

    def test_errors_of_the_service_are_typed(self):
        known = runtime.exceptions
        for kind, error, status in (
            ("invoke-not-ready", known.ModelNotReadyException, 429), ("invoke-failure", known.InternalFailure, 500),
            ("invoke-unavailable", known.ServiceUnavailable, 503), ("invoke-dependency", known.InternalDependencyException, 530),
            ("invoke-timeout", known.ModelError, 424), ("invoke-throttle", ClientError, 400),
        ):
            fault(kind)
            said = self.refused(error, status, ask)
            self.assertEqual(said["Error"]["Code"], {"invoke-throttle": "ThrottlingException"}.get(kind, error.__name__))
        self.assertTrue(spoken(ask()))

    def test_streams_that_break(self):
        for kind, code, says in (
            ("stream-broken", "ModelStreamError", "was reset or closed"), ("stream-timeout", "ModelStreamError", "within the timeout period"),
            ("stream-failure", "InternalStreamFailure", "unknown error"),
        ):
            fault(kind)
            parts = []
            with self.assertRaises(EventStreamError) as caught:
                for event in stream()["Body"]:
                    parts.append(event["PayloadPart"]["Bytes"])
            self.assertEqual(len(parts), 2)
            self.assertEqual(caught.exception.response["Error"]["Code"], code)
            self.assertIn(says, str(caught.exception))
        for _ in stream()["Body"]:
            pass
