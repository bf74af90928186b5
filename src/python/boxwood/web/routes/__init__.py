"""What the page may ask, a module a view: each has `ROUTES`, made with `boxwood.web.endpoint.route`."""

MODULES = ("project", "jobs", "forms", "images", "picks", "particles", "classes", "arrivals")
