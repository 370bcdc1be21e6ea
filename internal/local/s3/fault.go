package s3

import (
	"errors"
	"fmt"
	"net/http"

	"loradeck/internal/lora"
)

// fault is an answer of S3 that is not the one hoped for, in S3's own words
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type fault struct {
	code    string
	status  int
	message string
}

func (f *fault) Error() string { return f.code + ": " + f.message }

// Is makes a fault with another message equal to the one it was made from.
func (f *fault) Is(other error) bool {
	var o *fault
	return errors.As(other, &o) && o.code == f.code
}

// saying gives the same fault with a message for the case at hand.
func (f *fault) saying(format string, args ...any) *fault {
	return &fault{code: f.code, status: f.status, message: fmt.Sprintf(format, args...)}
}

var (
	errBadDigest          = &fault{"BadDigest", 400, "The Content-MD5 you specified did not match what we received."}
	errBucketNotEmpty     = &fault{"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"}
	errBucketOwned        = &fault{"BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it."}
	errEntityTooLarge     = &fault{"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"}
	errEntityTooSmall     = &fault{"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"}
	errIllegalLocation    = &fault{"IllegalLocationConstraintException", 400, ""}
	errIncompleteBody     = &fault{"IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header."}
	errInternal           = &fault{"InternalError", 500, "We encountered an internal error. Please try again."}
	errInvalidArgument    = &fault{"InvalidArgument", 400, "Invalid Argument"}
	errInvalidBucketName  = &fault{"InvalidBucketName", 400, "The specified bucket is not valid."}
	errInvalidDigest      = &fault{"InvalidDigest", 400, "The Content-MD5 you specified was invalid."}
	errInvalidPart        = &fault{"InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	errInvalidPartNumber  = &fault{"InvalidPartNumber", 416, "The requested partnumber is not satisfiable"}
	errInvalidPartOrder   = &fault{"InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number."}
	errInvalidRange       = &fault{"InvalidRange", 416, "The requested range is not satisfiable"}
	errInvalidRequest     = &fault{"InvalidRequest", 400, "Invalid Request"}
	errInvalidURI         = &fault{"InvalidURI", 400, "Couldn't parse the specified URI."}
	errKeyTooLong         = &fault{"KeyTooLongError", 400, "Your key is too long"}
	errMalformedTrailer   = &fault{"MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema."}
	errMalformedXML       = &fault{"MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema"}
	errMetadataTooLarge   = &fault{"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"}
	errMethodNotAllowed   = &fault{"MethodNotAllowed", 405, "The specified method is not allowed against this resource."}
	errMissingLength      = &fault{"MissingContentLength", 411, "You must provide the Content-Length HTTP header."}
	errNoSuchBucket       = &fault{"NoSuchBucket", 404, "The specified bucket does not exist"}
	errNoSuchKey          = &fault{"NoSuchKey", 404, "The specified key does not exist."}
	errNoSuchUpload       = &fault{"NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	errNotImplemented     = &fault{"NotImplemented", 501, "A header you provided implies functionality that is not implemented"}
	errNotModified        = &fault{"NotModified", http.StatusNotModified, "Not Modified"}
	errPreconditionFailed = &fault{"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"}
	errSourceTooLarge     = errInvalidRequest.saying("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	errUnknownAlgorithm   = errInvalidRequest.saying("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	errSHA256Mismatch     = &fault{"XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."}
)

// forPlatform turns a fault into the error that the rooms beside this one read; other errors pass.
func forPlatform(err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	if f.status == http.StatusNotFound {
		return lora.Wrap(err, lora.NotFound, "%s", f.message)
	}
	return lora.Wrap(err, lora.Invalid, "%s", f.message)
}
