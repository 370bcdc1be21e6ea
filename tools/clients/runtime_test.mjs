// The JavaScript SDK against the local platform's runtime, at the address in ENDPOINT. clients_test.go starts it, over http and
// TLS.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout } from "node:timers/promises";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import * as runtime from "@aws-sdk/client-sagemaker-runtime";

const endpoint = process.env.ENDPOINT;
const settings = { endpoint, region: "us-east-1", maxAttempts: 1, credentials: { accessKeyId: "any", secretAccessKey: "any" } };
const client = new runtime.SageMakerRuntimeClient(settings);
const base = "written", adapter = "written-pirate";
const pirate = fileURLToPath(new URL("../../internal/local/demo/adapters/pirate", import.meta.url));
const question = { messages: [{ role: "user", content: "What is the capital of France?" }], max_tokens: 16, temperature: 0 };

// control calls the control plane as its wire has it: its client is not installed for three calls.
const control = async (operation, input) => {
  const answer = await fetch(endpoint, {
    method: "POST", body: JSON.stringify(input),
    headers: {
      "X-Amz-Target": `SageMaker.${operation}`, "Content-Type": "application/x-amz-json-1.1",
      Authorization: "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=any",
    },
  });
  const said = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(said));
  return said;
};

const make = async (InferenceComponentName, input) => {
  await control("CreateInferenceComponent", { InferenceComponentName, EndpointName: "local", ...input });
  for (let i = 0; i < 600; i++) {
    const { InferenceComponentStatus, FailureReason } = await control("DescribeInferenceComponent", { InferenceComponentName });
    if (InferenceComponentStatus === "InService") return;
    assert.equal(InferenceComponentStatus, "Creating", FailureReason);
    await setTimeout(100);
  }
  assert.fail(`${InferenceComponentName} is not in service`);
};

before(async () => {
  const { ExecutionRoleArn, PrimaryContainer } = await control("DescribeModel", { ModelName: "tiny-llama" });
  PrimaryContainer.Environment.SAGEMAKER_ENABLE_STATEFUL_SESSIONS = "true";
  await control("CreateModel", { ModelName: base, ExecutionRoleArn, PrimaryContainer });
  await make(base, { VariantName: "main", RuntimeConfig: { CopyCount: 1 }, Specification: { ModelName: base, ComputeResourceRequirements: { MinMemoryRequiredInMb: 512 } } });
  const s3 = new S3Client({ ...settings, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: base }));
  const Body = execFileSync("tar", ["-cz", "-C", pirate, "adapter_config.json", "adapter_model.safetensors"]);
  await s3.send(new PutObjectCommand({ Bucket: base, Key: "pirate.tar.gz", Body }));
  s3.destroy();
  await make(adapter, { Specification: { BaseInferenceComponentName: base, Container: { ArtifactUrl: `s3://${base}/pirate.tar.gz` } } });
});
after(() => client.destroy());

const fault = async (kind) => {
  const answer = await fetch(`${endpoint}/_local/faults`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind, resource: adapter, calls: 1 }),
  });
  assert.equal(answer.status, 201);
};

const input = (body, more) => ({ EndpointName: "local", InferenceComponentName: adapter, ContentType: "application/json", Body: JSON.stringify(body), ...more });
const ask = (body = question, more = {}) => client.send(new runtime.InvokeEndpointCommand(input(body, more)));
const stream = (body = question, more = {}) => client.send(new runtime.InvokeEndpointWithResponseStreamCommand(input({ ...body, stream: true }, more)));
const text = (bytes) => Buffer.from(bytes).toString();
const spoken = (answer) => JSON.parse(text(answer.Body)).choices[0].message.content;
const parts = async (answer) => {
  const got = [];
  for await (const event of answer.Body) got.push(event.PayloadPart.Bytes);
  return got;
};
const told = (bytes) => {
  const events = text(bytes).split("\n\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
  assert.equal(events.pop(), "[DONE]");
  return events.map((event) => JSON.parse(event).choices[0].delta.content ?? "").join("");
};
const refused = (Type, status, says = "") => (err) =>
  err instanceof Type && err.$metadata.httpStatusCode === status && Boolean(err.$metadata.requestId) && `${err.message} ${err.Message}`.includes(says);

test("base and adapter answer, each in its own words", async () => {
  const [plain, changed] = [await ask(question, { InferenceComponentName: base }), await ask()];
  assert.notEqual(spoken(plain), spoken(changed));
  assert.equal(changed.ContentType, "application/json");
  assert.equal(changed.InvokedProductionVariant, "main");
  assert.equal(changed.CustomAttributes, undefined);
});

test("a stream is the whole answer, however it is cut", async () => {
  const whole = spoken(await ask());
  for (const cut of [false, true]) {
    if (cut) await fault("cut-frames");
    const answer = await stream(question, { Accept: "text/event-stream" });
    assert.equal(answer.ContentType, "text/event-stream; charset=utf-8");
    const got = await parts(answer);
    assert.equal(told(Buffer.concat(got)), whole);
    assert.equal(got.every((part) => part.length <= 7), cut);
  }
});

test("a session is opened, used and closed", async () => {
  const { NewSessionId } = await ask({ requestType: "NEW_SESSION" }, { SessionId: "NEW_SESSION" });
  assert.match(NewSessionId, /^[0-9a-f-]{36}; Expires=20[0-9T:-]+Z$/);
  const SessionId = NewSessionId.split(";")[0];
  assert.ok(spoken(await ask(question, { SessionId })));
  await parts(await stream(question, { SessionId }));
  await assert.rejects(stream(question, { SessionId: "NEW_SESSION" }), refused(runtime.ValidationError, 400, "sessionId"));
  const { ClosedSessionId } = await ask({ requestType: "CLOSE" }, { SessionId });
  assert.equal(ClosedSessionId, SessionId);
  await assert.rejects(ask(question, { SessionId }), (err) => refused(runtime.ModelError, 424)(err) && err.OriginalStatusCode === 400 && err.OriginalMessage.includes("session not found"));
});

test("what the container refuses is a ModelError with its words", async () => {
  for (const call of [ask, stream]) {
    await assert.rejects(call({ prompt: "x", max_tokens: 100_000 }), (err) => {
      assert.ok(refused(runtime.ModelError, 424, "Received client error (400) from primary")(err), String(err));
      assert.equal(err.OriginalStatusCode, 400);
      assert.match(JSON.parse(err.OriginalMessage).error.message, /maximum context length/);
      assert.ok(err.LogStreamArn.endsWith(`log-group:/aws/sagemaker/InferenceComponents/${base}`));
      return true;
    });
  }
});

test("what the service refuses is a ValidationError", async () => {
  const wrong = (says) => refused(runtime.ValidationError, 400, says);
  await assert.rejects(ask(question, { EndpointName: "none" }), wrong("Endpoint none of account 123456789012 not found."));
  await assert.rejects(ask(question, { InferenceComponentName: undefined }), wrong("Inference Component Name header is required"));
  await assert.rejects(ask(question, { TargetVariant: "other" }), wrong("Variant other not found"));
  await assert.rejects(ask(question, { TargetModel: "one.tar.gz" }), wrong("is not a multi-model endpoint"));
  await assert.rejects(ask(question, { CustomAttributes: "x".repeat(1025) }), wrong("Value at 'customAttributes' failed to satisfy constraint"));
  await assert.rejects(ask(question, { Body: new Uint8Array(6_291_457) }), wrong("less than or equal to 6291456"));
  await assert.rejects(client.send(new runtime.InvokeEndpointAsyncCommand({ EndpointName: "local", InputLocation: "s3://a/b" })), wrong("does not support InvokeEndpointAsync"));
});

test("errors of the service are typed", async () => {
  for (const [kind, Type, status] of [
    ["invoke-not-ready", runtime.ModelNotReadyException, 429], ["invoke-failure", runtime.InternalFailure, 500],
    ["invoke-unavailable", runtime.ServiceUnavailable, 503], ["invoke-dependency", runtime.InternalDependencyException, 530],
    ["invoke-timeout", runtime.ModelError, 424], ["invoke-throttle", runtime.SageMakerRuntimeServiceException, 400],
  ]) {
    await fault(kind);
    await assert.rejects(ask(), (err) => refused(Type, status)(err) && (kind !== "invoke-throttle" || err.name === "ThrottlingException"));
  }
  assert.ok(spoken(await ask()));
});

test("a stream that breaks ends in a typed exception", async () => {
  for (const [kind, Type, code] of [
    ["stream-broken", runtime.ModelStreamError, "StreamBroken"], ["stream-timeout", runtime.ModelStreamError, "ModelInvocationTimeExceeded"],
    ["stream-failure", runtime.InternalStreamFailure, undefined],
  ]) {
    await fault(kind);
    let got = 0;
    await assert.rejects(async () => {
      for await (const event of (await stream()).Body) got += event.PayloadPart ? 1 : 0;
    }, (err) => err instanceof Type && err.ErrorCode === code);
    assert.equal(got, 2);
  }
  await parts(await stream());
});
