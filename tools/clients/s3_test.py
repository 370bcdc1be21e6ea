"""boto3 against the local platform's S3, at the address in ENDPOINT. clients_test.go starts it, over http and TLS."""

import io
import os
import ssl
import time
import unittest
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from walk import Walk

BUCKET = "python"
MIB = 1 << 20
PARTS = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
walk = Walk()

# What the platform's S3 can do: each was answered, and so held to the model, before the tests end.
OPERATIONS = {
    "ListBuckets", "CreateBucket", "HeadBucket", "DeleteBucket", "GetBucketLocation", "ListObjects", "ListObjectsV2", "PutObject", "GetObject", "HeadObject",
    "GetObjectAttributes", "CopyObject", "DeleteObject", "DeleteObjects", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "ListParts",
    "ListMultipartUploads", "CompleteMultipartUpload", "AbortMultipartUpload",
}


def connect(secret="any", **config):
    return walk.watch(boto3.client(
        "s3", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **config)))


s3 = connect()


def setUpModule():
    s3.create_bucket(Bucket=BUCKET)


def tearDownModule():
    s3.close()
    if walk.wrong:
        raise AssertionError("answers that botocore's model does not allow:\n" + "\n".join(sorted(set(walk.wrong))))
    if missing := OPERATIONS - walk.seen.keys():
        raise AssertionError(f"never answered: {sorted(missing)}")
    print(f"{sum(walk.seen.values())} answers of {len(walk.seen)} operations and {len(walk.errors)} error codes held to botocore's model")


def fetch(url, method="GET", body=None, headers=None):
    """Sends a request without the SDK and gives status and body."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as err:
        with err:
            return err.code, err.read()


class S3(unittest.TestCase):
    def refused(self, code, call, **args):
        with self.assertRaises(ClientError) as caught:
            call(Bucket=BUCKET, **args)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertTrue(caught.exception.response["ResponseMetadata"]["RequestId"])
        return caught.exception.response

    def test_bytes_and_streams_are_summed(self):
        text = os.urandom(300_000)
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            for body in (text, io.BytesIO(text)):
                made = s3.put_object(Bucket=BUCKET, Key="sums", Body=body, ChecksumAlgorithm=algorithm)
                got = s3.get_object(Bucket=BUCKET, Key="sums", ChecksumMode="ENABLED")
                self.assertEqual(got["Body"].read(), text)
                self.assertEqual(got["Checksum" + algorithm], made["Checksum" + algorithm])
                self.assertEqual(got["ChecksumType"], "FULL_OBJECT")
        self.refused("BadDigest", s3.put_object, Key="bad", Body=b"x", ChecksumCRC32C="AAAAAA==")
        self.refused("BadDigest", s3.put_object, Key="bad", Body=b"x", ChecksumCRC64NVME="AAAAAAAAAAA=")
        self.refused("404", s3.head_object, Key="bad")

    def test_clients_that_sum_only_when_required(self):
        old = connect(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        old.put_object(Bucket=BUCKET, Key="unsummed", Body=b"text")
        head = s3.head_object(Bucket=BUCKET, Key="unsummed", ChecksumMode="ENABLED")
        self.assertTrue(head["ChecksumCRC64NVME"])
        self.assertEqual(old.get_object(Bucket=BUCKET, Key="unsummed")["Body"].read(), b"text")

    def test_managed_transfers_go_in_parts(self):
        text = os.urandom(12 * MIB + 5)
        s3.upload_fileobj(io.BytesIO(text), BUCKET, "managed", Config=PARTS, ExtraArgs={"Metadata": {"a": "1"}, "ContentType": "text/x"})
        head = s3.head_object(Bucket=BUCKET, Key="managed")
        self.assertTrue(head["ETag"].endswith('-3"'))
        self.assertEqual((head["Metadata"], head["ContentType"], head["ContentLength"]), ({"a": "1"}, "text/x", len(text)))
        back = io.BytesIO()
        s3.download_fileobj(BUCKET, "managed", back, Config=PARTS)
        self.assertEqual(back.getvalue(), text)
        s3.copy({"Bucket": BUCKET, "Key": "managed"}, BUCKET, "managed copy", Config=PARTS)
        self.assertEqual(s3.get_object(Bucket=BUCKET, Key="managed copy")["Body"].read(), text)

    def test_uploads_are_listed_resumed_completed_twice_and_aborted(self):
        made = s3.create_multipart_upload(Bucket=BUCKET, Key="resumed", ChecksumAlgorithm="SHA256")
        at = {"Bucket": BUCKET, "Key": "resumed", "UploadId": made["UploadId"]}
        s3.upload_part(**at, PartNumber=1, Body=b"1" * (5 * MIB), ChecksumAlgorithm="SHA256")
        self.assertEqual([u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="resumed")["Uploads"]], [made["UploadId"]])
        s3.upload_part(**at, PartNumber=2, Body=b"2", ChecksumAlgorithm="SHA256")
        parts = [{k: p[k] for k in ("PartNumber", "ETag", "ChecksumSHA256")} for page in s3.get_paginator("list_parts").paginate(**at, PaginationConfig={"PageSize": 1}) for p in page["Parts"]]
        done = [s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}) for _ in range(2)]
        self.assertEqual(done[0]["ETag"], done[1]["ETag"])
        self.assertEqual(done[0]["ChecksumType"], "COMPOSITE")
        told = s3.get_object_attributes(Bucket=BUCKET, Key="resumed", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
        self.assertEqual((told["ObjectSize"], told["ObjectParts"]["TotalPartsCount"]), (5 * MIB + 1, 2))
        self.assertEqual(s3.get_object(Bucket=BUCKET, Key="resumed", PartNumber=2)["Body"].read(), b"2")
        gone = s3.create_multipart_upload(Bucket=BUCKET, Key="aborted")["UploadId"]
        s3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=gone)
        self.refused("NoSuchUpload", s3.list_parts, Key="aborted", UploadId=gone)

    def test_ranges(self):
        s3.put_object(Bucket=BUCKET, Key="range", Body=b"0123456789")
        for span, want in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-3", b"789"), ("bytes=8-99", b"89")):
            got = s3.get_object(Bucket=BUCKET, Key="range", Range=span)
            self.assertEqual((got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]), (want, 206))
        answer = self.refused("InvalidRange", s3.get_object, Key="range", Range="bytes=10-")
        self.assertEqual(answer["Error"]["ActualObjectSize"], "10")

    def test_conditions(self):
        etag = s3.put_object(Bucket=BUCKET, Key="guarded", Body=b"one", IfNoneMatch="*")["ETag"]
        self.refused("PreconditionFailed", s3.put_object, Key="guarded", Body=b"two", IfNoneMatch="*")
        self.refused("PreconditionFailed", s3.put_object, Key="guarded", Body=b"two", IfMatch='"0f"')
        self.refused("PreconditionFailed", s3.get_object, Key="guarded", IfMatch='"0f"')
        self.refused("304", s3.get_object, Key="guarded", IfNoneMatch=etag)
        self.refused("PreconditionFailed", s3.delete_object, Key="guarded", IfMatch='"0f"')
        s3.put_object(Bucket=BUCKET, Key="guarded", Body=b"two", IfMatch=etag)

    def test_copies(self):
        key = "copy/of é +?.bin"
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"text", Metadata={"a": "1"})
        s3.copy_object(Bucket=BUCKET, Key="copy/new", CopySource={"Bucket": BUCKET, "Key": key}, MetadataDirective="REPLACE", Metadata={"b": "2"})
        got = s3.get_object(Bucket=BUCKET, Key="copy/new")
        self.assertEqual((got["Body"].read(), got["Metadata"]), (b"text", {"b": "2"}))
        self.refused("InvalidRequest", s3.copy_object, Key=key, CopySource={"Bucket": BUCKET, "Key": key})

    def test_listings_and_deletions(self):
        keys = ["list/a", "list/a b+é", "list/b/1", "list/b/2", "list/c\n", "list/z"]
        for key in keys:
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
        for version in ("list_objects_v2", "list_objects"):
            pages = s3.get_paginator(version).paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 2})
            self.assertEqual([o["Key"] for page in pages for o in page["Contents"]], keys)
            pages = s3.get_paginator(version).paginate(Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 1})
            self.assertEqual([p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])], ["list/b/"])
        gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        self.assertEqual((gone.get("Deleted"), gone.get("Errors")), (None, None))
        self.assertEqual(s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"], 0)

    def test_presigned_addresses(self):
        for version in ("s3", "s3v4"):
            signer = connect(signature_version=version)
            at = {"Bucket": BUCKET, "Key": "presigned é+.txt"}
            put = signer.generate_presigned_url("put_object", Params=at, ExpiresIn=60)
            status, said = fetch(put, "PUT", b"text", {"Content-Type": ""})
            self.assertEqual(status, 200, said)
            get = signer.generate_presigned_url("get_object", Params=at | {"ResponseContentType": "text/x"}, ExpiresIn=60)
            self.assertEqual(fetch(get), (200, b"text"))
            status, said = fetch(get.replace("text%2Fx", "text%2Fy"))
            self.assertIn(b"SignatureDoesNotMatch", said)
            foreign = connect("other", signature_version=version).generate_presigned_url("get_object", Params=at)
            self.assertIn(b"SignatureDoesNotMatch", fetch(foreign)[1])
            late = signer.generate_presigned_url("get_object", Params=at, ExpiresIn=-1 if version == "s3" else 1)
            while fetch(late)[0] == 200:  # an address of version 4 lives a second at least
                time.sleep(0.1)
            self.assertIn(b"Request has expired", fetch(late)[1])

    def test_a_client_of_another_region_is_told_the_right_one(self):
        foreign = walk.watch(boto3.client(
            "s3", endpoint_url=os.environ["ENDPOINT"], region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})))
        foreign.list_objects_v2(Bucket=BUCKET)  # boto3 signs again for the region that the refusal names
        self.assertIn("AuthorizationHeaderMalformed", walk.errors)

    def test_errors_say_what_is_missing(self):
        answer = self.refused("NoSuchKey", s3.get_object, Key="none")
        self.assertEqual(answer["Error"]["Key"], "none")
        with self.assertRaises(s3.exceptions.NoSuchBucket):
            s3.list_objects_v2(Bucket="no-such-bucket")
        self.refused("SignatureDoesNotMatch", connect("other").list_objects_v2)
        s3.list_objects_v2(Bucket=BUCKET, ExpectedBucketOwner="123456789012")
        self.refused("AccessDenied", s3.list_objects_v2, ExpectedBucketOwner="999999999999")

    def test_every_listing_in_every_form(self):
        for key in ("forms/a b", "forms/c/1", "forms/c/2", "forms/d"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"x", ChecksumAlgorithm="SHA1")
        for args in ({}, {"Delimiter": "/"}, {"MaxKeys": 1}, {"MaxKeys": 0}, {"Delimiter": "/", "MaxKeys": 2}, {"EncodingType": "url", "Delimiter": "/"}):
            s3.list_objects_v2(Bucket=BUCKET, Prefix="forms/", FetchOwner=True, StartAfter="forms/a", **args)
            s3.list_objects(Bucket=BUCKET, Prefix="forms/", Marker="forms/a", **args)
        self.assertEqual(s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)["IsTruncated"], False)
        for algorithm, kind in (("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"), ("CRC64NVME", "FULL_OBJECT"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE")):
            for key in ("forms/up", "forms/up", "forms/in/up"):
                made = s3.create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)
            at = {"Bucket": BUCKET, "Key": key, "UploadId": made["UploadId"]}
            s3.upload_part_copy(**at, PartNumber=2, CopySource={"Bucket": BUCKET, "Key": "forms/d"})
            s3.upload_part_copy(**at, PartNumber=1, CopySource={"Bucket": BUCKET, "Key": "forms/d"}, CopySourceRange="bytes=0-0")
            for args in ({}, {"MaxParts": 1}, {"PartNumberMarker": 1}, {"MaxParts": 0}):
                s3.list_parts(**at, **args)
            part = s3.list_parts(**at, MaxParts=1)["Parts"][0]
            s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [{k: part[k] for k in ("PartNumber", "ETag", "Checksum" + algorithm)}]})
            for args in ({}, {"MaxParts": 1}):
                s3.get_object_attributes(Bucket=BUCKET, Key=key, ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"], **args)
            s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED", PartNumber=1)
        for args in ({}, {"Delimiter": "/"}, {"MaxUploads": 1}, {"Delimiter": "/", "MaxUploads": 2}, {"EncodingType": "url", "KeyMarker": "forms/a b"}):
            s3.list_multipart_uploads(Bucket=BUCKET, Prefix="forms/", **args)
        for upload in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="forms/")["Uploads"]:
            s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "forms/d", "ETag": '"0f"'}, {"Key": "forms/a b"}, {"Key": "forms/none", "VersionId": "null"}]})
        s3.delete_object(Bucket=BUCKET, Key="forms/up")
        for args in ({"MaxBuckets": 1}, {"Prefix": "py"}):
            s3.list_buckets(**args)

    def test_the_walk_sees_what_is_wrong(self):
        def walked(operation, body, status=200, headers=()):
            one = Walk()
            one.answer(s3.meta.service_model.operation_model(operation), {"status_code": status, "headers": dict(headers), "body": body})
            return one.wrong

        def listing(inside):
            return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</ListBucketResult>'.encode()

        self.assertEqual(walked("ListObjectsV2", listing("<MaxKeys>1</MaxKeys><Contents><Key>k</Key><Size>1</Size></Contents>")), [])
        for inside in (
            "<Maxkeys>1</Maxkeys>", "<MaxKeys>1.5</MaxKeys>", "<MaxKeys>1</MaxKeys><MaxKeys>1</MaxKeys>", "<IsTruncated>True</IsTruncated>", "<Contents><Colour>red</Colour></Contents>",
            "<Contents><StorageClass>COLD</StorageClass></Contents>", "<Contents><LastModified>2026-01-01</LastModified></Contents>", "<Contents><Key><b/></Key></Contents>", '<Name xmlns="">b</Name>',
        ):
            self.assertEqual(len(walked("ListObjectsV2", listing(inside))), 1, inside)
        self.assertEqual(len(walked("PutObject", b"", headers={"x-amz-checksum-type": "WHOLE"}.items())), 1)
        self.assertEqual(len(walked("PutObject", b"", headers={"x-amz-surprise": "1"}.items())), 1)
        self.assertEqual(len(walked("PutObject", b"text")), 1)
        self.assertEqual(len(walked("HeadObject", b"", headers={"last-modified": "yesterday"}.items())), 1)
        self.assertTrue(walked("GetObject", b"<Error><Code>NoSuchKey</Code><Because/></Error>", status=404))

    def test_buckets(self):
        s3.create_bucket(Bucket="python-2")
        self.assertIn("python-2", [b["Name"] for b in s3.list_buckets()["Buckets"]])
        self.assertIsNone(s3.get_bucket_location(Bucket="python-2")["LocationConstraint"])
        self.assertEqual(s3.head_bucket(Bucket="python-2")["BucketRegion"], "us-east-1")
        s3.delete_bucket(Bucket="python-2")

    def test_the_resource_api(self):
        resource = boto3.resource("s3", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")
        walk.watch(resource.meta.client)
        bucket = resource.Bucket(BUCKET)
        bucket.put_object(Key="resource/1", Body=b"1")
        self.assertEqual([o.key for o in bucket.objects.filter(Prefix="resource/")], ["resource/1"])
        bucket.objects.filter(Prefix="resource/").delete()
        self.assertEqual(list(bucket.objects.filter(Prefix="resource/")), [])


if __name__ == "__main__":
    unittest.main()
