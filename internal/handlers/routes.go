package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"loradeck/web/static"
)

// routes is every address of the dashboard. What changes something is a POST and needs the role ship; the local place's levers
// need admin.
func (h *Handlers) routes() {
	e := h.echo
	e.GET("/", h.deck)
	e.POST("/samples/:name/deploy", h.deploySample)
	e.GET("/remove", h.askRemove)
	e.POST("/remove", h.remove)
	e.POST("/deployments/:id/prove", h.proveAgain)
	e.GET("/deployments/:id/redeploy", h.askRedeploy)
	e.POST("/deployments/:id/redeploy", h.redeploy)

	e.GET(localPath, h.local)
	e.POST(localPath+"/faults", h.setFault)
	e.POST(localPath+"/release", h.releaseFaults)
	e.POST(localPath+"/pace", h.setPace)
	e.GET(localPath+"/containers/:name/metrics.txt", h.containerMetrics)

	e.GET("/adapters", h.adapters)
	e.GET("/adapters/:id", h.adapter)
	e.GET("/adapters/:id/remove", h.askForget)
	e.POST("/adapters/:id/remove", h.forgetAdapter)
	e.GET("/adapters/:id/versions/:n/adapter.tar.gz", h.downloadVersion)
	e.POST("/adapters/:id/versions/:n/deploy", h.deployVersion)

	e.GET("/uploads", h.uploads)
	e.GET("/uploads/:id", h.upload)
	e.POST("/uploads/:id/deploy", h.deployUpload)
	e.POST("/uploads/:id/discard", h.discardUpload)

	e.GET("/jobs", h.jobs)
	e.GET("/jobs/:id", h.job)
	e.GET("/jobs/:id/cancel", h.askCancel)
	e.POST("/jobs/:id/cancel", h.cancelJob)
	e.POST("/jobs/:id/retry", h.retryJob)
	e.GET("/jobs/:id/calls.txt", h.jobCalls)

	e.GET("/playground", h.playground)
	e.POST("/playground", h.compare)
	e.GET("/comparisons/:id", h.comparison)
	e.POST("/comparisons/:id/stop", h.stopComparison)

	e.GET("/live", h.live)

	api := e.Group("/api/v1")
	api.GET("/openapi.json", h.describe)
	api.GET("/bases", h.listBases)
	api.GET("/adapters", h.listAdapters)
	api.GET("/adapters/:id", h.showAdapter)
	api.GET("/adapters/:id/versions", h.listVersions)
	api.GET("/deployments", h.listDeployments)
	api.POST("/deployments", h.deployAdapter)
	api.GET("/deployments/:id", h.showDeployment)
	api.DELETE("/deployments/:id", h.endDeployment)
	api.POST("/deployments/:id/prove", h.proveAgain)
	api.GET("/jobs", h.listJobs)
	api.GET("/jobs/:id", h.showJob)
	api.GET("/jobs/:id/watch", h.watchJob)
	api.POST("/jobs/:id/cancel", h.cancelJob)
	api.POST("/jobs/:id/retry", h.retryJob)
	api.POST("/uploads", h.beginUpload)
	api.GET("/uploads/:id", h.showUpload)
	api.GET("/uploads/:id/check", h.checkUpload)
	api.DELETE("/uploads/:id", h.endUpload)
	files := api.Group("/uploads/:id/files") // with middleware of its own a group answers a wrong method with 404
	files.OPTIONS("", h.tusOptions, tus)
	files.POST("", h.tusCreate, tus)
	files.HEAD("/:n", h.tusOffset, tus)
	files.PATCH("/:n", h.tusAppend, tus)
	files.DELETE("/:n", h.tusEnd, tus)

	e.GET("/login", h.login)
	e.POST("/login", h.signIn)
	e.POST("/logout", h.signOut)

	e.GET("/healthz", h.health)
	e.GET(static.Prefix+"*", echo.WrapHandler(h.static))
	e.GET("/favicon.ico", echo.WrapHandler(http.HandlerFunc(h.static.ServeFavicon)))
}

// health answers as long as the database does; it tells nothing but the version.
func (h *Handlers) health(c echo.Context) error {
	if _, err := h.DB.Read().Places(c.Request().Context()); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": "ok", "version": h.Version})
}
