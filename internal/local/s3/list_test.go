package s3_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

type awsBucketConfiguration = types.CreateBucketConfiguration

func awsAlgorithm(name string) types.ChecksumAlgorithm { return types.ChecksumAlgorithm(name) }

// walk lists all pages and gives keys and common prefixes in the order they came.
func walk(t *testing.T, client *awss3.Client, in awss3.ListObjectsV2Input) (entries []string, pages int) {
	t.Helper()
	in.Bucket = aws.String(bucket)
	for pager := awss3.NewListObjectsV2Paginator(client, &in); pager.HasMorePages(); pages++ {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			entries = append(entries, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			entries = append(entries, *p.Prefix)
		}
		if got := len(page.Contents) + len(page.CommonPrefixes); got != int(*page.KeyCount) {
			t.Errorf("got KeyCount %d for %d entries", *page.KeyCount, got)
		}
		if pages > 1000 {
			t.Fatal("the listing does not end")
		}
	}
	return entries, pages
}

func TestListingPagesThroughEveryEntryOnce(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	keys := []string{"a", "a-b", "a/1", "a/2", "a/2/x", "b/1", "b0", "c", "é/1"}
	for _, key := range keys {
		put(t, client, key, key)
	}
	tests := []struct {
		name  string
		in    awss3.ListObjectsV2Input
		want  []string
		pages int
	}{
		{"all", awss3.ListObjectsV2Input{}, keys, 1},
		{"all by two", awss3.ListObjectsV2Input{MaxKeys: aws.Int32(2)}, keys, 5},
		{"all by three, no empty page at the end", awss3.ListObjectsV2Input{MaxKeys: aws.Int32(3)}, keys, 3},
		{"prefix", awss3.ListObjectsV2Input{Prefix: aws.String("a/")}, []string{"a/1", "a/2", "a/2/x"}, 1},
		{"folders", awss3.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)}, []string{"a", "a-b", "a/", "b/", "b0", "c", "é/"}, 7},
		{"inside a folder", awss3.ListObjectsV2Input{Delimiter: aws.String("/"), Prefix: aws.String("a/"), MaxKeys: aws.Int32(2)}, []string{"a/1", "a/2", "a/2/"}, 2},
		{"start after", awss3.ListObjectsV2Input{StartAfter: aws.String("b/1")}, []string{"b0", "c", "é/1"}, 1},
		{"start after what is not there", awss3.ListObjectsV2Input{StartAfter: aws.String("bb")}, []string{"c", "é/1"}, 1},
		{"nothing", awss3.ListObjectsV2Input{Prefix: aws.String("zz")}, nil, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, pages := walk(t, client, test.in)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if pages != test.pages {
				t.Errorf("got %d pages, want %d", pages, test.pages)
			}
		})
	}
}

func TestFoldersFullOfKeysAreOneEntryEach(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	for i := range 80 { // more than is read at once
		put(t, client, fmt.Sprintf("a/%03d", i), "")
		put(t, client, fmt.Sprintf("m%03d", i), "")
	}
	put(t, client, "z/1", "")
	got, _ := walk(t, client, awss3.ListObjectsV2Input{Delimiter: aws.String("/")})
	// Keys come before prefixes in one page, so only the count and the folders are looked at.
	if len(got) != 82 || got[80] != "a/" || got[81] != "z/" {
		t.Errorf("got %d entries, the last %v", len(got), got[len(got)-2:])
	}
}

func TestDeletingManyKeys(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		var wish types.Delete
		for i := range 20 {
			key := fmt.Sprintf("k<&>%d", i)
			put(t, client, key, key)
			wish.Objects = append(wish.Objects, types.ObjectIdentifier{Key: &key})
		}
		put(t, client, "stays", "")
		wish.Objects = append(wish.Objects, types.ObjectIdentifier{Key: aws.String("never was")})
		out, err := client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &wish})
		if err != nil || len(out.Deleted) != 21 {
			t.Fatalf("got %v, %v", out, err)
		}
		if got, _ := walk(t, client, awss3.ListObjectsV2Input{}); !cmp.Equal(got, []string{"stays"}) {
			t.Errorf("got %q", got)
		}
		for range 2 {
			if _, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("stays")}); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestOldListingPagesToo(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	for _, key := range []string{"a", "b/1", "b/2", "c/1", "d"} {
		put(t, client, key, key)
	}
	for delimiter, want := range map[string][]string{"": {"a", "b/1", "b/2", "c/1", "d"}, "/": {"a", "b/", "c/", "d"}} {
		var got []string
		marker := ""
		for more := true; more; {
			page, err := client.ListObjects(t.Context(), &awss3.ListObjectsInput{
				Bucket: aws.String(bucket), Delimiter: &delimiter, Marker: &marker, MaxKeys: aws.Int32(1),
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				got = append(got, *o.Key)
			}
			for _, p := range page.CommonPrefixes {
				got = append(got, *p.Prefix)
			}
			marker, more = got[len(got)-1], *page.IsTruncated && len(got) < 10
			if next := aws.ToString(page.NextMarker); (next != "") != (more && delimiter != "") || next != "" && next != marker {
				t.Errorf("delimiter %q: got NextMarker %q behind %q", delimiter, next, marker)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("delimiter %q (-want +got):\n%s", delimiter, diff)
		}
	}
}

func TestOwnersAreListedWhereS3DoesSo(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	put(t, client, "k", "")
	for _, fetch := range []bool{false, true} {
		page, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), FetchOwner: &fetch})
		if err != nil || len(page.Contents) != 1 || (page.Contents[0].Owner != nil) != fetch {
			t.Errorf("fetch-owner=%v: got %v, %v", fetch, page, err)
		}
	}
	page, err := client.ListObjects(t.Context(), &awss3.ListObjectsInput{Bucket: aws.String(bucket)})
	if err != nil || len(page.Contents) != 1 || page.Contents[0].Owner == nil {
		t.Errorf("ListObjects: got %v, %v, want an owner", page, err)
	}
}

func TestDeletionsHoldTheirConditions(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	etag := put(t, client, "kept", "x").ETag
	put(t, client, "gone", "x")
	one := func(key, match string) error {
		_, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key, IfMatch: &match})
		return err
	}
	wantCode(t, one("kept", `"0f"`), "PreconditionFailed")
	wantCode(t, one("none", "*"), "NoSuchKey")
	if err := one("gone", "*"); err != nil {
		t.Error(err)
	}
	out, err := client.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("kept"), ETag: aws.String(`"0f"`)}, {Key: aws.String("none")},
	}}})
	if err != nil || len(out.Deleted) != 1 || *out.Deleted[0].Key != "none" || len(out.Errors) != 1 || *out.Errors[0].Key != "kept" || *out.Errors[0].Code != "PreconditionFailed" {
		t.Fatalf("got %v, %v, want the one refused and the other deleted", out, err)
	}
	if err := one("kept", *etag); err != nil {
		t.Error(err)
	}
}

func TestUploadsAreListedInPagesWithFolders(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	keys := []string{"a", "a", "a/1", "a/1", "a/2", "b", "c/x"}
	for _, key := range keys {
		startUpload(t, client, key, types.ChecksumAlgorithmCrc64nvme, "")
	}
	for _, test := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", keys},
		{"a/", "", []string{"a/1", "a/1", "a/2"}},
		{"", "/", []string{"a", "a", "a/", "b", "c/"}},
		{"a/", "/", []string{"a/1", "a/1", "a/2"}},
		{"z", "/", nil},
	} {
		for _, most := range []int32{1, 2, 3, 1000} {
			in := &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Prefix: &test.prefix, Delimiter: &test.delimiter, MaxUploads: &most}
			var got []string
			for pages := 0; pages < 20; pages++ {
				page, err := client.ListMultipartUploads(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range page.Uploads {
					got = append(got, *u.Key)
				}
				for _, p := range page.CommonPrefixes {
					got = append(got, *p.Prefix)
				}
				if !*page.IsTruncated {
					break
				}
				in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("prefix %q, delimiter %q, %d at a time (-want +got):\n%s", test.prefix, test.delimiter, most, diff)
			}
		}
	}
}

func TestBucketsAreListedInPages(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	for _, name := range []string{"models-b", "models-a", "models-c", "other"} {
		if err := store.EnsureBucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := 0
	for pager := awss3.NewListBucketsPaginator(client, &awss3.ListBucketsInput{Prefix: aws.String("models-"), MaxBuckets: aws.Int32(2)}); pager.HasMorePages() && pages < 5; pages++ {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Buckets {
			got = append(got, *b.Name)
		}
	}
	if diff := cmp.Diff([]string{"models-a", "models-b", "models-c"}, got); diff != "" || pages != 2 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	if status, code := send(t, store, "GET", "/?max-buckets=0", ""); status != 400 || code != "InvalidArgument" {
		t.Errorf("got %d %s", status, code)
	}
}
