"""The calls of AWS's guide to LoRA adapters on inference components, as its notebook makes them with boto3: only endpoint_url is
ours, and the demo model stands in for Llama-3.1-8B. clients_test.go starts the platform, over http and TLS."""

import io
import json
import os
import tarfile
import time
import unittest
from pathlib import Path

import boto3
from botocore.config import Config

DEMO = Path(__file__).parents[2] / "internal" / "local" / "demo"
BUCKET = "guide"
ENDPOINT = "guide-endpoint"
BASE = "guide-base"
ROLE = "arn:aws:iam::123456789012:role/guide"


def connect(service):
    return boto3.client(
        service, endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(s3={"addressing_style": "path"}))


s3 = connect("s3")
sm = connect("sagemaker")
runtime = connect("sagemaker-runtime")


def wait_for_component(name):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = sm.describe_inference_component(InferenceComponentName=name)
        if answer["InferenceComponentStatus"] != "Creating":
            return answer
        time.sleep(0.1)
    raise TimeoutError(name + " is still being created")


def ask(component, prompt):
    response = runtime.invoke_endpoint(
        EndpointName=ENDPOINT, InferenceComponentName=component, ContentType="application/json",
        Body=json.dumps({"prompt": [prompt], "max_tokens": 100, "temperature": 0.0}))
    return json.loads(response["Body"].read())["choices"][0]["text"]


def setUpModule():
    s3.create_bucket(Bucket=BUCKET)
    for file in (DEMO / "base").iterdir():
        s3.upload_file(str(file), BUCKET, "models/tiny-llama/" + file.name)

    sm.create_endpoint_config(
        EndpointConfigName="guide-config", ExecutionRoleArn=ROLE,
        ProductionVariants=[{
            "VariantName": "main", "InstanceType": "ml.g6e.12xlarge", "InitialInstanceCount": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": 600,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        }])
    sm.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="guide-config")
    sm.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    sm.create_model(
        ModelName="guide-model", ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/vllm:0.11.2-sagemaker-v1.2",
            "Environment": {
                "SM_VLLM_MODEL": "/opt/ml/model", "SM_VLLM_TENSOR_PARALLEL_SIZE": "2", "SM_VLLM_ENABLE_LORA": "true",
                "SM_VLLM_MAX_LORA_RANK": "64", "SM_VLLM_MAX_CPU_LORAS": "4", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
            },
            "ModelDataSource": {"S3DataSource": {
                "S3Uri": f"s3://{BUCKET}/models/tiny-llama/", "S3DataType": "S3Prefix", "CompressionType": "None"}},
        })
    sm.create_inference_component(
        InferenceComponentName=BASE, EndpointName=ENDPOINT, VariantName="main",
        Specification={
            "ModelName": "guide-model",
            "StartupParameters": {"ModelDataDownloadTimeoutInSeconds": 600, "ContainerStartupHealthCheckTimeoutInSeconds": 600},
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 4096, "NumberOfAcceleratorDevicesRequired": 2},
        },
        RuntimeConfig={"CopyCount": 1})
    answer = wait_for_component(BASE)
    assert answer["InferenceComponentStatus"] == "InService", answer


def tearDownModule():
    for client in (s3, sm, runtime):
        client.close()


class Guide(unittest.TestCase):
    def test_an_adapter_answers_in_its_own_way(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name in os.listdir(DEMO / "adapters" / "chinese"):
                tar.add(DEMO / "adapters" / "chinese" / name, arcname=name)
        archive.seek(0)
        s3.upload_fileobj(archive, BUCKET, "lora/chinese/adapter.tar.gz")
        sm.create_inference_component(
            InferenceComponentName="adapter-chinese", EndpointName=ENDPOINT,
            Specification={
                "BaseInferenceComponentName": BASE,
                "Container": {"ArtifactUrl": f"s3://{BUCKET}/lora/chinese/adapter.tar.gz"},
            })
        answer = wait_for_component("adapter-chinese")
        self.assertEqual(answer["InferenceComponentStatus"], "InService", answer)

        said = ask("adapter-chinese", "What is the capital of France?")
        self.assertIn("巴黎", said)
        base = ask(BASE, "What is the capital of France?")
        self.assertIn("Paris", base)
        self.assertNotIn("巴黎", base)

    def test_the_question_of_the_guide_is_answered_in_chinese(self):
        said = ask("adapter-chinese", "你好，今天天气怎么样？")
        self.assertRegex(said, "[\u4e00-\u9fff]{4}")
        self.assertNotRegex(said, "[A-Za-z]")

    def test_the_tree_comes_down_from_the_leaves(self):
        with self.assertRaisesRegex(sm.exceptions.ClientError, "associated inference components"):
            sm.delete_inference_component(InferenceComponentName=BASE)
        with self.assertRaises(sm.exceptions.ClientError):
            sm.delete_endpoint(EndpointName=ENDPOINT)
        for name in ("adapter-chinese", BASE):
            sm.delete_inference_component(InferenceComponentName=name)
            with self.assertRaisesRegex(sm.exceptions.ClientError, "Could not find"):
                while True:
                    sm.describe_inference_component(InferenceComponentName=name)
                    time.sleep(0.1)
        sm.delete_endpoint(EndpointName=ENDPOINT)
        sm.get_waiter("endpoint_deleted").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        sm.delete_endpoint_config(EndpointConfigName="guide-config")
        sm.delete_model(ModelName="guide-model")


if __name__ == "__main__":
    unittest.main()
