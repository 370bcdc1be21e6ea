// The JavaScript SDK against the local platform's S3, at the address in ENDPOINT. clients_test.go starts it, over http and TLS.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const Bucket = "javascript";
const MiB = 1 << 20;
const connect = (secretAccessKey = "any") =>
  new s3.S3Client({
    endpoint: process.env.ENDPOINT, region: "us-east-1", forcePathStyle: true, maxAttempts: 1,
    credentials: { accessKeyId: "any", secretAccessKey },
  });
const client = connect();
const call = (name, input) => client.send(new s3[name + "Command"]({ Bucket, ...input }));
const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const refused = (name, status) => (err) => err.name === name && err.$metadata.httpStatusCode === status && Boolean(err.$metadata.requestId);

before(() => call("CreateBucket"));
after(() => client.destroy());

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  test(`${ChecksumAlgorithm} of a buffer and of a stream is kept and given back`, async () => {
    const text = randomBytes(300_000);
    for (const Body of [text, Readable.from(chunks(text, 20_000))]) {
      const Key = `sums/${ChecksumAlgorithm}`;
      const made = await call("PutObject", { Key, Body, ContentLength: text.length, ChecksumAlgorithm });
      const got = await call("GetObject", { Key, ChecksumMode: "ENABLED" });
      assert.deepEqual(await bytes(got), text);
      const name = `Checksum${ChecksumAlgorithm}`;
      assert.ok(got[name]);
      assert.equal(made[name], got[name]);
      assert.equal(got.ChecksumType, "FULL_OBJECT");
    }
  });
}

function* chunks(text, size) {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size);
}

test("a wrong checksum is refused and leaves nothing", async () => {
  await assert.rejects(call("PutObject", { Key: "bad", Body: "hello", ChecksumCRC32: "AAAAAA==" }), refused("BadDigest", 400));
  await assert.rejects(call("HeadObject", { Key: "bad" }), (err) => err.name === "NotFound");
});

test("metadata and headers come back, from HEAD too", async () => {
  const sent = { ContentType: "text/x", ContentEncoding: "gzip", CacheControl: "no-store", ContentLanguage: "zh", Metadata: { job: "7", "with-dash": "a b" } };
  await call("PutObject", { Key: "headers", Body: "text", ...sent });
  for (const name of ["HeadObject", "GetObject"]) {
    const got = await call(name, { Key: "headers" });
    for (const field of Object.keys(sent)) assert.deepEqual(got[field], sent[field], field);
    assert.equal(got.ContentLength, 4);
  }
});

test("lib-storage sends a stream in parts", async () => {
  const text = randomBytes(12 * MiB + 5);
  const made = await new Upload({ client, params: { Bucket, Key: "streamed", Body: Readable.from(chunks(text, 70_000)) }, partSize: 5 * MiB, queueSize: 3 }).done();
  assert.match(made.ETag, /-3"$/);
  assert.deepEqual(await bytes(await call("GetObject", { Key: "streamed", ChecksumMode: "ENABLED" })), text);
  const third = await call("GetObject", { Key: "streamed", PartNumber: 3 });
  assert.equal(third.PartsCount, 3);
  assert.deepEqual(await bytes(third), text.subarray(10 * MiB));
});

test("an upload goes on from its listed parts, and is completed twice", async () => {
  const text = randomBytes(5 * MiB + 9);
  const Key = "resumed";
  const { UploadId } = await call("CreateMultipartUpload", { Key, ChecksumAlgorithm: "SHA256" });
  await call("UploadPart", { Key, UploadId, PartNumber: 1, Body: text.subarray(0, 5 * MiB), ChecksumAlgorithm: "SHA256" });
  const uploads = await call("ListMultipartUploads", { Prefix: Key });
  assert.deepEqual(uploads.Uploads.map((u) => u.UploadId), [UploadId]);
  const listed = await call("ListParts", { Key, UploadId });
  assert.equal(listed.Parts[0].Size, 5 * MiB);
  const second = await call("UploadPart", { Key, UploadId, PartNumber: 2, Body: text.subarray(5 * MiB), ChecksumAlgorithm: "SHA256" });
  const Parts = [listed.Parts[0], { PartNumber: 2, ...second }].map(({ PartNumber, ETag, ChecksumSHA256 }) => ({ PartNumber, ETag, ChecksumSHA256 }));
  const made = await call("CompleteMultipartUpload", { Key, UploadId, MultipartUpload: { Parts } });
  assert.equal(made.ChecksumType, "COMPOSITE");
  const again = await call("CompleteMultipartUpload", { Key, UploadId, MultipartUpload: { Parts } });
  assert.equal(again.ETag, made.ETag);
  assert.deepEqual(await bytes(await call("GetObject", { Key })), text);
  const told = await call("GetObjectAttributes", { Key, ObjectAttributes: ["ETag", "Checksum", "ObjectParts", "ObjectSize"] });
  assert.deepEqual([told.ObjectSize, told.ObjectParts.TotalPartsCount, told.ObjectParts.Parts.map((p) => p.Size)], [text.length, 2, [5 * MiB, 9]]);
});

test("an aborted upload is gone", async () => {
  const { UploadId } = await call("CreateMultipartUpload", { Key: "aborted" });
  await call("AbortMultipartUpload", { Key: "aborted", UploadId });
  await assert.rejects(call("ListParts", { Key: "aborted", UploadId }), refused("NoSuchUpload", 404));
});

test("ranges", async () => {
  await call("PutObject", { Key: "range", Body: "0123456789" });
  for (const [Range, want] of [["bytes=2-4", "234"], ["bytes=7-", "789"], ["bytes=-3", "789"], ["bytes=8-99", "89"]]) {
    const got = await call("GetObject", { Key: "range", Range, ChecksumMode: "ENABLED" });
    assert.equal((await bytes(got)).toString(), want);
    assert.equal(got.$metadata.httpStatusCode, 206);
  }
  await assert.rejects(call("GetObject", { Key: "range", Range: "bytes=10-" }), refused("InvalidRange", 416));
});

test("conditions guard puts, gets and deletions", async () => {
  const Key = "guarded";
  const { ETag } = await call("PutObject", { Key, Body: "one", IfNoneMatch: "*" });
  await assert.rejects(call("PutObject", { Key, Body: "two", IfNoneMatch: "*" }), refused("PreconditionFailed", 412));
  await assert.rejects(call("PutObject", { Key, Body: "two", IfMatch: '"0f"' }), refused("PreconditionFailed", 412));
  await assert.rejects(call("GetObject", { Key, IfMatch: '"0f"' }), refused("PreconditionFailed", 412));
  await assert.rejects(call("GetObject", { Key, IfNoneMatch: ETag }), (err) => err.$metadata.httpStatusCode === 304);
  await assert.rejects(call("GetObject", { Key, IfUnmodifiedSince: new Date(0) }), refused("PreconditionFailed", 412));
  await assert.rejects(call("DeleteObject", { Key, IfMatch: '"0f"' }), refused("PreconditionFailed", 412));
  await call("PutObject", { Key, Body: "two", IfMatch: ETag });
  assert.equal((await bytes(await call("GetObject", { Key }))).toString(), "two");
});

test("objects and parts are copied", async () => {
  const text = randomBytes(6 * MiB);
  const Key = "copy/of é +?.bin";
  await call("PutObject", { Key, Body: text, Metadata: { a: "1" } });
  const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
  await call("CopyObject", { Key: "copy/plain", CopySource });
  const got = await call("GetObject", { Key: "copy/plain" });
  assert.deepEqual([await bytes(got), got.Metadata.a], [text, "1"]);
  const { UploadId } = await call("CreateMultipartUpload", { Key: "copy/parts" });
  const Parts = [];
  for (const [i, CopySourceRange] of [`bytes=0-${5 * MiB - 1}`, `bytes=${5 * MiB}-${6 * MiB - 1}`].entries()) {
    const part = await call("UploadPartCopy", { Key: "copy/parts", UploadId, PartNumber: i + 1, CopySource, CopySourceRange });
    Parts.push({ PartNumber: i + 1, ETag: part.CopyPartResult.ETag });
  }
  await call("CompleteMultipartUpload", { Key: "copy/parts", UploadId, MultipartUpload: { Parts } });
  assert.deepEqual(await bytes(await call("GetObject", { Key: "copy/parts" })), text);
});

test("listings page, group, encode; many keys are deleted at once", async () => {
  const keys = ["list/a", "list/a b+é", "list/b/1", "list/b/2", "list/c\u0001", "list/z"];
  for (const Key of keys) await call("PutObject", { Key, Body: Key });
  const found = [];
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: "list/", EncodingType: "url" })) {
    assert.ok(page.KeyCount <= 2);
    found.push(...(page.Contents ?? []).map((o) => decodeURIComponent(o.Key)));
  }
  assert.deepEqual(found, keys);
  const folders = await call("ListObjectsV2", { Prefix: "list/", Delimiter: "/", StartAfter: "list/a" });
  assert.deepEqual(folders.CommonPrefixes.map((p) => p.Prefix), ["list/b/"]);
  const old = await call("ListObjects", { Prefix: "list/", Delimiter: "/", MaxKeys: 3 });
  assert.deepEqual([old.IsTruncated, old.NextMarker], [true, "list/b/"]);
  await call("DeleteObject", { Key: keys[4] }); // which XML cannot carry
  const gone = await call("DeleteObjects", { Delete: { Objects: [...keys.toSpliced(4, 1), "list/none"].map((Key) => ({ Key })) } });
  assert.equal(gone.Deleted.length, 6);
  assert.equal((await call("ListObjectsV2", { Prefix: "list/" })).KeyCount, 0);
});

test("presigned addresses work until they are altered or signed with another secret", async () => {
  const Key = "presigned é+.txt";
  const put = await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key, Metadata: { by: "link" } }), { expiresIn: 60 });
  assert.equal(new URL(put).searchParams.get("x-amz-checksum-crc32"), "AAAAAA=="); // the SDK signs the sum of a body that it has not seen
  const made = await fetch(put, { method: "PUT", body: "" });
  assert.equal(made.status, 200, await made.text());
  assert.equal((await call("HeadObject", { Key })).Metadata.by, "link");
  const get = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key, ResponseContentType: "text/x" }), { expiresIn: 60 });
  const got = await fetch(get);
  assert.deepEqual([got.status, got.headers.get("content-type"), await got.text()], [200, "text/x", ""]);
  const altered = await fetch(get.replace("text%2Fx", "text%2Fy"));
  assert.deepEqual([altered.status, /<Code>(.*)<\/Code>/.exec(await altered.text())[1]], [403, "SignatureDoesNotMatch"]);
  const foreign = await getSignedUrl(connect("other"), new s3.GetObjectCommand({ Bucket, Key }));
  assert.match(await (await fetch(foreign)).text(), /SignatureDoesNotMatch/);
  const late = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key }), { expiresIn: 60, signingDate: new Date(Date.now() - 3_600_000) });
  const expired = await fetch(late);
  assert.deepEqual([expired.status, /<Message>(.*)<\/Message>/.exec(await expired.text())[1]], [403, "Request has expired"]);
});

test("errors are the SDK's own classes", async () => {
  await assert.rejects(call("GetObject", { Key: "none" }), (err) => err instanceof s3.NoSuchKey);
  await assert.rejects(call("HeadObject", { Key: "none" }), (err) => err instanceof s3.NotFound);
  await assert.rejects(call("ListObjectsV2", { Bucket: "no-such-bucket" }), (err) => err instanceof s3.NoSuchBucket);
  await assert.rejects(connect("other").send(new s3.ListObjectsV2Command({ Bucket })), refused("SignatureDoesNotMatch", 403));
});
