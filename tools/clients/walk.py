"""Holds every answer that a boto3 client gets to botocore's own model of S3: no element that the model does not know, none of the
wrong type or outside its enum, none required that is missing, none twice that is no list; and no x-amz-… header that the
operation does not have. botocore itself passes over all of this in silence."""

import re
from xml.etree import ElementTree

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"

# What S3 sends beside the model: every answer's identity, the region of a bucket on any answer.
ALWAYS = {"x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region"}

# What S3's error documents hold (API reference, error responses), with what it adds for single codes.
ERROR = {
    "Code", "Message", "Resource", "RequestId", "HostId", "Key", "BucketName", "UploadId", "RangeRequested", "ActualObjectSize", "Method", "ResourceType", "Region",
    "AWSAccessKeyId", "StringToSign", "SignatureProvided", "CanonicalRequest", "HeadersNotSigned", "Expires", "ServerTime", "X-Amz-Expires", "RequestTime", "MaxAllowedSkewMilliseconds",
}

SCALARS = {
    "integer": re.compile(r"-?\d+"), "long": re.compile(r"-?\d+"), "boolean": re.compile(r"true|false"), "string": re.compile(r".*", re.DOTALL),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
}
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")  # of headers


class Walk:
    """Collects what is wrong with the answers of the clients that it watches, and which operations it saw."""

    def __init__(self):
        self.wrong, self.seen, self.errors = [], {}, set()

    def watch(self, client):
        client.meta.events.register("before-parse.s3.*", self.answer)
        return client

    def answer(self, operation_model, response_dict, **_):
        """Walks one answer, as botocore hands it over before parsing it."""
        where = operation_model.name
        if response_dict["status_code"] >= 300:
            return self._error(where, response_dict)
        self.seen[where] = self.seen.get(where, 0) + 1
        shape = operation_model.output_shape
        self._headers(where, response_dict["headers"], shape)
        if shape is None:
            return self._want(not response_dict["body"], where, "a body that the model does not know")
        payload = shape.serialization.get("payload")
        if payload and shape.members[payload].type_name in ("blob", "string"):
            return  # a body of bytes
        inside = [name for name, m in shape.members.items() if "location" not in m.serialization]
        if not inside:
            return self._want(not response_dict["body"], where, "a body that the model does not know")
        root = ElementTree.fromstring(response_dict["body"])
        self._want(root.tag.startswith(NAMESPACE), where, f"{root.tag} is not in S3's name space")
        if where == "GetBucketLocation":  # the one document whose root is a scalar: botocore reads it by hand
            return self._want(len(root) == 0, where, "elements in LocationConstraint")
        self._element(root, shape.members[payload] if payload else shape, where)

    def _error(self, where, answer):
        if not answer["body"]:
            return self._want(where.startswith("Head") or answer["status_code"] == 304, where, f"{answer['status_code']} without a body")
        root = ElementTree.fromstring(answer["body"])
        self._want(root.tag == "Error", where, f"an error's document is {root.tag}")
        names = [child.tag for child in root]
        for name in ("Code", "Message", "RequestId", "HostId"):
            self._want(names.count(name) == 1, where, f"an error with {names.count(name)} {name}")
        self._want(set(names) <= ERROR, where, f"an error with {sorted(set(names) - ERROR)}")
        self.errors.add(root.findtext("Code"))

    def _headers(self, where, headers, shape):
        known, prefixes = set(ALWAYS), []
        for name, member in (shape.members if shape is not None else {}).items():
            at, called = member.serialization.get("location"), member.serialization.get("name", name).lower()
            if at == "headers":
                prefixes.append(called)
            elif at == "header":
                known.add(called)
                if called in headers:
                    self._scalar(headers[called], member, f"{where}.{name}", header=True)
        for name in headers:
            if (lower := name.lower()).startswith("x-amz-"):
                self._want(lower in known or lower.startswith(tuple(prefixes)), where, f"a header {name} that the model does not know")

    def _element(self, element, shape, path):
        if shape.type_name != "structure":
            self._want(len(element) == 0, path, "elements in a scalar")
            return self._scalar(element.text or "", shape, path)
        wanted = {}
        for name, member in shape.members.items():
            if "location" in member.serialization:
                continue
            flat = member.type_name == "list" and member.serialization.get("flattened")
            called = member.serialization.get("name") or name
            if flat:
                called = member.member.serialization.get("name") or called
            wanted[called] = (name, member, flat)
        found = {}
        for child in element:
            self._want(child.tag.startswith(NAMESPACE), path, f"{child.tag} is not in S3's name space")
            tag = child.tag.removeprefix(NAMESPACE)
            if tag not in wanted:
                self._want(False, path, f"an element {tag} that the model does not know")
                continue
            name, member, flat = wanted[tag]
            found[name] = found.get(name, 0) + 1
            inner = f"{path}.{name}"
            if flat:
                self._element(child, member.member, inner)
            elif member.type_name == "list":
                for item in child:
                    self._want(item.tag == NAMESPACE + member.member.serialization.get("name", "member"), inner, f"an item {item.tag}")
                    self._element(item, member.member, inner)
            else:
                self._element(child, member, inner)
        for name, member, flat in wanted.values():
            self._want(found.get(name, 0) <= 1 or flat, path, f"{name} {found.get(name)} times")
        for name in shape.required_members:
            self._want(name in found, path, f"{name} is required and missing")

    def _scalar(self, text, shape, path, header=False):
        form = DATE if header and shape.type_name == "timestamp" else SCALARS.get(shape.type_name)
        self._want(form is not None, path, f"the type {shape.type_name} is not expected")
        if form is not None:
            self._want(form.fullmatch(text) is not None, path, f"{text!r} is no {shape.type_name}")
        if enum := getattr(shape, "enum", None):
            self._want(text in enum, path, f"{text!r} is none of {enum}")

    def _want(self, right, path, what):
        if not right:
            self.wrong.append(f"{path}: {what}")
