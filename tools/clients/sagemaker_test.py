"""boto3 against the local platform's SageMaker, at the address in ENDPOINT, on which the demo base runs.

Besides what boto3's own parser makes of them, every answer is walked as it came against botocore's service model.
"""

import collections
import datetime
import io
import json
import os
import re
import tarfile
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError
from botocore.loaders import Loader

from shapes import OPERATIONS

REGION, ACCOUNT = "us-east-1", "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
PREFIX = f"s3://loradeck-models-{ACCOUNT}-{REGION}/tiny-llama/"
UNDECLARED = {"ValidationException", "SerializationException", "UnknownOperationException"}
MODEL = Loader().load_service_model("sagemaker", "service-2")
KINDS = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int, "float": (int, float), "timestamp": (int, float)}
walked = collections.Counter()


def connect(service):
    return boto3.client(
        service, endpoint_url=os.environ["ENDPOINT"], region_name=REGION, aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, parameter_validation=False))


def walk(shape, value, at):
    """Gives what a value has that the service model does not allow."""
    shape = MODEL["shapes"][shape]
    kind = shape["type"]
    if not isinstance(value, KINDS[kind]) or isinstance(value, bool) != (kind == "boolean"):
        yield f"{at} is {value!r}, no {kind}"
        return
    size = value if kind in ("integer", "float") else 0 if kind in ("boolean", "timestamp") else len(value)
    if not shape.get("min", size) <= size <= shape.get("max", size):
        yield f"{at} has size {size}"
    if kind == "string" and ("enum" in shape and value not in shape["enum"] or "pattern" in shape and not re.fullmatch(pattern(shape), value)):
        yield f"{at} is {value!r}, which {shape} does not allow"
    if kind == "list":
        for i, item in enumerate(value):
            yield from walk(shape["member"]["shape"], item, f"{at}[{i}]")
    if kind == "map":
        for key, item in value.items():
            yield from walk(shape["key"]["shape"], key, f"{at} key {key}")
            yield from walk(shape["value"]["shape"], item, f"{at}.{key}")
    if kind == "structure":
        yield from (f"{at} lacks {name}" for name in shape.get("required", []) if name not in value)
        for name, item in value.items():
            if name not in shape["members"]:
                yield f"{at} has {name}"
            else:
                yield from walk(shape["members"][name]["shape"], item, f"{at}.{name}")


def pattern(shape):
    """Tags name classes of Unicode, which Python's expressions do not have."""
    return shape["pattern"].replace(r"\p{L}\p{Z}\p{N}", r"\w\s")


def witness(operation_model, response_dict, **_):
    name, text = operation_model.name, response_dict["body"]
    walked[name] += 1
    operation = MODEL["operations"][name]
    wrong = [f"header {key}" for key in ("x-amzn-RequestId", "Content-Type") if not response_dict["headers"].get(key)]
    if response_dict["status_code"] != 200:
        answer = json.loads(text)
        declared = {error["shape"] for error in operation.get("errors", [])}
        if set(answer) != {"__type", "message"} or answer["__type"] not in declared | UNDECLARED or not answer["message"]:
            wrong.append("no error of this operation")
    elif "output" not in operation:
        wrong += ["a body"] if text else []
    else:
        wrong += walk(operation["output"]["shape"], json.loads(text), name)
    if wrong:
        raise AssertionError(f"{name} answered {text!r}: {wrong}")


sm, s3 = connect("sagemaker"), connect("s3")
sm.meta.events.register("before-parse.sagemaker", witness)
QUICK = {"Delay": 0.05, "MaxAttempts": 600}


def setUpModule():
    s3.create_bucket(Bucket="adapters")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("adapter_config.json"))
    s3.put_object(Bucket="adapters", Key="a.tar.gz", Body=packed.getvalue())
    sm.create_model(ModelName="model", ExecutionRoleArn=ROLE, PrimaryContainer=container())
    variant = {"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    sm.create_endpoint_config(EndpointConfigName="config", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    sm.create_endpoint(EndpointName="endpoint", EndpointConfigName="config")
    sm.get_waiter("endpoint_in_service").wait(EndpointName="endpoint", WaiterConfig=QUICK)


def tearDownModule():
    sm.close()
    s3.close()
    if missing := set(OPERATIONS) - set(walked):
        raise AssertionError(f"never called: {missing}")
    print(f"{sum(walked.values())} answers of {len(walked)} operations walked")


def container(**more):
    return {"Image": "vllm:0.11.2", "ModelDataSource": {"S3DataSource": {"S3Uri": PREFIX, "S3DataType": "S3Prefix", "CompressionType": "None"}}} | more


def base(name, **more):
    return {
        "InferenceComponentName": name, "EndpointName": "endpoint", "VariantName": "main", "RuntimeConfig": {"CopyCount": 1},
        "Specification": {"ModelName": "model", "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512, "NumberOfCpuCoresRequired": 0.25}},
    } | more


def settled(name):
    """Polls, as clients do: there is no waiter for inference components."""
    while True:
        found = sm.describe_inference_component(InferenceComponentName=name)
        if found["InferenceComponentStatus"] in ("InService", "Failed"):
            return found


def gone(describe, **named):
    try:
        while True:
            describe(**named)
    except ClientError as err:
        return err.response["Error"]["Message"]


class SageMaker(unittest.TestCase):
    def refused(self, part, call, code="ValidationException", **args):
        with self.assertRaises(ClientError) as caught:
            call(**args)
        error = caught.exception.response
        self.assertEqual((error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]), (code, 400))
        self.assertIn(part, error["Error"]["Message"])
        self.assertTrue(error["ResponseMetadata"]["RequestId"])

    def test_models(self):
        asked = {
            "PrimaryContainer": container(
                Mode="MultiModel", ContainerHostname="host", Environment={"A": "b"}, ImageConfig={"RepositoryAccessMode": "Platform"},
                MultiModelConfig={"ModelCacheSetting": "Disabled"}, ContainerMetricsConfig={"MetricsEndpoints": [{"MetricsEndpointPath": "/metrics"}]},
                AdditionalModelDataSources=[{"ChannelName": "draft", "S3DataSource": {"S3Uri": "s3://b/d/", "S3DataType": "S3Prefix", "CompressionType": "None", "ModelAccessConfig": {"AcceptEula": True}}}]),
            "ExecutionRoleArn": ROLE, "EnableNetworkIsolation": True, "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
            "InferenceExecutionConfig": {"Mode": "Direct"},
        }
        made = sm.create_model(ModelName="Full", **asked, Tags=[{"Key": "k", "Value": ""}])
        self.assertEqual(made["ModelArn"], f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/full")
        found = sm.describe_model(ModelName="full")
        self.assertEqual({key: found[key] for key in asked}, asked)
        self.assertIsInstance(found["CreationTime"], datetime.datetime)
        self.refused("Cannot create already existing model", sm.create_model, ModelName="FULL", PrimaryContainer={"Image": "i"})
        several = [{"Image": "a", "Mode": "SingleModel"}, {"Image": "b", "Mode": "SingleModel"}]
        sm.create_model(ModelName="several", Containers=several)
        self.assertEqual(sm.describe_model(ModelName="several")["Containers"], several)
        self.assertEqual([m["ModelName"] for m in sm.list_models(NameContains="ever")["Models"]], ["several"])
        for name in ("Full", "several"):
            sm.delete_model(ModelName=name)
            self.refused("Could not find model", sm.delete_model, ModelName=name)

    def test_endpoint_configs(self):
        asked = {
            "ProductionVariants": [{
                "VariantName": "v", "InstancePools": [{"InstanceType": "ml.g5.xlarge", "Priority": 1}, {"InstanceType": "ml.g6.xlarge", "Priority": 2, "ModelNameOverride": "model"}],
                "InitialInstanceCount": 2, "InitialVariantWeight": 0.5, "RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE", "PrefixAwareRoutingConfig": {"PrefixLength": 2048}},
                "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 4, "ScaleInPolicy": {"Strategy": "CONSOLIDATION", "CooldownInMinutes": 5}},
                "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1", "VariantInstanceProvisionTimeoutInSeconds": 600, "EnableSSMAccess": True,
                "CoreDumpConfig": {"DestinationS3Uri": "s3://b/cores"},
            }],
            "ShadowProductionVariants": [{"VariantName": "shadow", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}],
            "DataCaptureConfig": {"EnableCapture": True, "InitialSamplingPercentage": 10, "DestinationS3Uri": "s3://b/c", "CaptureOptions": [{"CaptureMode": "InputAndOutput"}], "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]}},
            "AsyncInferenceConfig": {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4}, "OutputConfig": {"S3OutputPath": "s3://b/o", "NotificationConfig": {"SuccessTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}}},
            "ExplainerConfig": {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "1"}}}},
            "MetricsConfig": {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 30}, "KmsKeyId": "key", "ExecutionRoleArn": ROLE,
            "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}, "EnableNetworkIsolation": True,
        }
        sm.create_endpoint_config(EndpointConfigName="full", **asked)
        found = sm.describe_endpoint_config(EndpointConfigName="full")
        self.assertEqual({key: found[key] for key in asked}, asked)
        self.refused("Cannot create already existing endpoint configuration", sm.create_endpoint_config, EndpointConfigName="full", **asked)
        sm.create_endpoint(EndpointName="full", EndpointConfigName="full", DeploymentConfig={"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}})
        sm.get_waiter("endpoint_in_service").wait(EndpointName="full", WaiterConfig=QUICK)
        sm.delete_endpoint_config(EndpointConfigName="full")
        found = sm.describe_endpoint(EndpointName="full")
        self.assertEqual({key: found[key] for key in ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig")}, {key: asked[key] for key in ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig")})
        self.assertEqual(found["DataCaptureConfig"] | {"KmsKeyId": ""}, {"EnableCapture": True, "CaptureStatus": "Started", "CurrentSamplingPercentage": 10, "DestinationS3Uri": "s3://b/c", "KmsKeyId": ""})
        variant = found["ProductionVariants"][0]
        self.assertEqual((variant["CurrentWeight"], variant["DesiredInstanceCount"], variant["ManagedInstanceScaling"], variant["RoutingConfig"]), (0.5, 2, asked["ProductionVariants"][0]["ManagedInstanceScaling"], asked["ProductionVariants"][0]["RoutingConfig"]))
        self.assertEqual(variant["InstancePools"], [{"InstanceType": "ml.g5.xlarge", "CurrentInstanceCount": 2}, {"InstanceType": "ml.g6.xlarge", "CurrentInstanceCount": 0}])
        self.assertEqual(found["ShadowProductionVariants"][0]["VariantName"], "shadow")
        self.assertEqual(found["LastDeploymentConfig"], {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}})
        sm.delete_endpoint(EndpointName="full")
        sm.get_waiter("endpoint_deleted").wait(EndpointName="full", WaiterConfig=QUICK)

    def test_endpoints(self):
        self.refused("Could not find endpoint configuration", sm.create_endpoint, EndpointName="other", EndpointConfigName="none")
        self.refused("Cannot create already existing endpoint", sm.create_endpoint, EndpointName="ENDPOINT", EndpointConfigName="config")
        sm.create_endpoint(EndpointName="other", EndpointConfigName="config")
        sm.get_waiter("endpoint_in_service").wait(EndpointName="other", WaiterConfig=QUICK)
        found = sm.describe_endpoint(EndpointName="other")
        self.assertEqual((found["EndpointConfigName"], found["EndpointStatus"], found["ProductionVariants"][0]["CurrentWeight"]), ("config", "InService", 1.0))
        listed = sm.list_endpoints(StatusEquals="InService", NameContains="oth", SortBy="Status")["Endpoints"]
        self.assertEqual([e["EndpointArn"] for e in listed], [found["EndpointArn"]])
        self.assertEqual([c["EndpointConfigName"] for c in sm.list_endpoint_configs(NameContains="onfi", SortBy="Name", SortOrder="Ascending")["EndpointConfigs"]][0], "config")
        sm.update_endpoint_weights_and_capacities(EndpointName="other", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredWeight": 2}])
        sm.get_waiter("endpoint_in_service").wait(EndpointName="other", WaiterConfig=QUICK)
        self.assertEqual(sm.describe_endpoint(EndpointName="other")["ProductionVariants"][0]["CurrentWeight"], 2.0)
        sm.create_endpoint_config(EndpointConfigName="larger", ExecutionRoleArn=ROLE, ProductionVariants=[{"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 2}])
        sm.update_endpoint(EndpointName="other", EndpointConfigName="larger")
        sm.get_waiter("endpoint_in_service").wait(EndpointName="other", WaiterConfig=QUICK)
        found = sm.describe_endpoint(EndpointName="other")
        self.assertEqual((found["EndpointConfigName"], found["ProductionVariants"][0]["CurrentInstanceCount"]), ("larger", 2))
        sm.delete_endpoint(EndpointName="other")
        sm.get_waiter("endpoint_deleted").wait(EndpointName="other", WaiterConfig=QUICK)
        with self.assertRaises(WaiterError):
            sm.get_waiter("endpoint_in_service").wait(EndpointName="other", WaiterConfig=QUICK)

    def test_inference_components(self):
        asked = base("py-base")
        asked["Specification"] |= {
            "StartupParameters": {"ModelDataDownloadTimeoutInSeconds": 600}, "DataCacheConfig": {"EnableCaching": False},
            "SchedulingConfig": {"PlacementStrategy": "SPREAD", "AvailabilityZoneBalance": {"EnforcementMode": "PERMISSIVE", "MaxImbalance": 0}},
        }
        sm.create_inference_component(**asked)
        found = settled("py-base")
        self.assertEqual((found["InferenceComponentStatus"], found["RuntimeConfig"]["CurrentCopyCount"]), ("InService", 1), found)
        self.assertEqual({key: found["Specification"][key] for key in asked["Specification"]}, asked["Specification"])
        adapter = {"InferenceComponentName": "py-adapter", "EndpointName": "endpoint", "Specification": {"BaseInferenceComponentName": "py-base", "Container": {"ArtifactUrl": "s3://adapters/a.tar.gz"}}}
        made = sm.create_inference_component(**adapter, Tags=[{"Key": "loradeck:job", "Value": "1"}])
        found = settled("py-adapter")
        self.assertEqual((found["VariantName"], found["Specification"]["ComputeResourceRequirements"]["MinMemoryRequiredInMb"]), ("main", 512))
        self.assertNotIn("RuntimeConfig", found)
        self.assertEqual(sm.list_tags(ResourceArn=made["InferenceComponentArn"])["Tags"], [{"Key": "loradeck:job", "Value": "1"}])
        rows = [row for page in sm.get_paginator("list_inference_components").paginate(EndpointNameEquals="endpoint", VariantNameEquals="main", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 1}) for row in page["InferenceComponents"]]
        self.assertEqual([row["InferenceComponentName"] for row in rows], ["py-adapter", "py-base"])
        s3.copy({"Bucket": "adapters", "Key": "a.tar.gz"}, "adapters", "b.tar.gz")
        sm.update_inference_component(InferenceComponentName="py-adapter", Specification={"Container": {"ArtifactUrl": "s3://adapters/b.tar.gz"}})
        found = settled("py-adapter")
        self.assertEqual((found["InferenceComponentStatus"], found["Specification"]["Container"]["ArtifactUrl"]), ("InService", "s3://adapters/b.tar.gz"), found)
        for count in (0, 1):
            sm.update_inference_component_runtime_config(InferenceComponentName="py-base", DesiredRuntimeConfig={"CopyCount": count})
            self.assertEqual(settled("py-base")["RuntimeConfig"], {"DesiredCopyCount": count, "CurrentCopyCount": count})
        self.refused("must be given to update", sm.update_inference_component, InferenceComponentName="py-base")
        self.refused("base for one or more associated inference components", sm.delete_inference_component, InferenceComponentName="py-base")
        self.refused("inference component", sm.delete_endpoint, EndpointName="endpoint")
        for name in ("py-adapter", "py-base"):
            sm.delete_inference_component(InferenceComponentName=name)
            self.assertIn("Could not find inference component", gone(sm.describe_inference_component, InferenceComponentName=name))

    def test_pages_and_times(self):
        names = [f"page-{i:02}" for i in range(12)]
        for name in names:
            sm.create_model(ModelName=name, PrimaryContainer={"Image": "i"})
        newest = sm.list_models(NameContains="page-")
        self.assertEqual([m["ModelName"] for m in newest["Models"]], names[:1:-1])
        rest = sm.list_models(NameContains="page-", NextToken=newest["NextToken"])
        self.assertEqual([m["ModelName"] for m in rest["Models"]], names[1::-1])
        self.assertNotIn("NextToken", rest)
        self.refused("NextToken", sm.list_models, NextToken=newest["NextToken"])
        after = sm.describe_model(ModelName="page-05")["CreationTime"]
        pages = sm.get_paginator("list_models").paginate(NameContains="page-", CreationTimeAfter=after, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2})
        self.assertEqual([m["ModelName"] for page in pages for m in page["Models"]], [n for n in names if sm.describe_model(ModelName=n)["CreationTime"] > after])
        for name in names:
            sm.delete_model(ModelName=name)

    def test_tags(self):
        arn = sm.describe_model(ModelName="model")["ModelArn"]
        sm.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{i}", "Value": "值 +-=._:/@"} for i in range(50)])
        pages = list(sm.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 50}))
        self.assertEqual(sum(len(page["Tags"]) for page in pages), 50)
        self.refused("50", sm.add_tags, ResourceArn=arn, Tags=[{"Key": "more", "Value": ""}])
        self.refused("50", sm.list_tags, ResourceArn=arn, MaxResults=49)
        self.refused("unique", sm.add_tags, ResourceArn=arn, Tags=[{"Key": "a", "Value": ""}] * 2)
        sm.delete_tags(ResourceArn=arn, TagKeys=[f"k{i}" for i in range(50)])
        self.assertEqual(sm.list_tags(ResourceArn=arn)["Tags"], [])
        self.refused("Could not find", sm.list_tags, ResourceArn=arn + "-none")

    def test_limits_are_told_as_aws_tells_them(self):
        self.refused(
            "2 validation errors detected: Value 'a_b" + "c" * 61 + "' at 'modelName' failed to satisfy constraint: Member must have length less than or equal to 63; "
            "Value 'a_b" + "c" * 61 + "' at 'modelName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?",
            sm.describe_model, ModelName="a_b" + "c" * 61)
        self.refused(
            "1 validation error detected: Value 'ENTER MODEL NAME' at 'productionVariants.1.member.modelName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
            sm.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[{"VariantName": "v", "ModelName": "ENTER MODEL NAME"}])
        self.refused("STRING_VALUE can not be converted to an Integer", sm.list_models, code="SerializationException", MaxResults="ten")

    def test_operations_that_are_not_there(self):
        with self.assertRaises(ClientError) as caught:
            sm.meta.events.unregister("before-parse.sagemaker", witness)
            try:
                sm.list_training_jobs()
            finally:
                sm.meta.events.register("before-parse.sagemaker", witness)
        self.assertEqual(caught.exception.response["Error"]["Code"], "UnknownOperationException")


if __name__ == "__main__":
    unittest.main()
