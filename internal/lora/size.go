package lora

import "fmt"

// Bytes writes a size for people, in decimal units with one decimal, as storage is sold: 167.8 MB.
func Bytes(n int64) string {
	units := []string{"KB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.95 && unit < len(units)-1 {
		size /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}
