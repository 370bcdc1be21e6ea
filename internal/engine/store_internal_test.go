package engine

import (
	"slices"
	"testing"
)

func TestAStoreKeepsValuesSideBySide(t *testing.T) {
	t.Parallel()
	const big = 3 << 20 // more than a huge page, whichever the type
	s := newStore[uint16](big + 3)
	first, second := s.keep(slices.Repeat([]uint16{7}, big)), s.keep([]uint16{1, 2, 3})
	if len(first) != big || first[0] != 7 || first[big-1] != 7 || !slices.Equal(second, []uint16{1, 2, 3}) {
		t.Error("the values changed")
	}
	_ = append(first, 9)
	if second[0] != 1 {
		t.Error("appending to the first changed the second")
	}
	more := []uint16{4}
	if kept := s.keep(more); &kept[0] != &more[0] {
		t.Error("a full store moved values")
	}
	none := newStore[float32](0)
	if kept := none.keep(nil); len(kept) != 0 {
		t.Errorf("nothing became %v", kept)
	}
}
