"""The service's properties. These run alone: the state is everybody's."""

from azure.storage.blob import BlobAnalyticsLogging, CorsRule, Metrics, RetentionPolicy, StaticWebsite
from kit import check, equal


@check("service properties come back as they were set")
def round_trip(kit):
    kit.service.set_service_properties(
        analytics_logging=BlobAnalyticsLogging(read=True, write=False, delete=True, retention_policy=RetentionPolicy(True, 5)),
        hour_metrics=Metrics(enabled=True, include_apis=True, retention_policy=RetentionPolicy(True, 3)),
        minute_metrics=Metrics(enabled=False),
        cors=[CorsRule(["https://one.example"], ["GET", "PUT"], allowed_headers=["x-ms-meta-*"], exposed_headers=["*"], max_age_in_seconds=9)],
        target_version="2020-10-02",
        delete_retention_policy=RetentionPolicy(True, 4),
        static_website=StaticWebsite(enabled=True, index_document="index.html", error_document404_path="error/404.html"),
    )
    got = kit.service.get_service_properties()
    logging = got["analytics_logging"]
    equal([logging.read, logging.write, logging.delete, logging.retention_policy.days], [True, False, True, 5])
    equal([got["hour_metrics"].enabled, got["hour_metrics"].include_apis, got["hour_metrics"].retention_policy.days], [True, True, 3])
    equal(got["minute_metrics"].enabled, False)
    rule = got["cors"][0]
    equal([rule.allowed_origins, rule.allowed_methods, rule.max_age_in_seconds], ["https://one.example", "GET,PUT", 9])
    equal([got["target_version"], got["delete_retention_policy"].days], ["2020-10-02", 4])
    equal([got["static_website"].enabled, got["static_website"].index_document], [True, "index.html"])


@check("service properties that are left out stay")
def left_out(kit):
    kit.service.set_service_properties(target_version="2020-10-02", cors=[CorsRule(["*"], ["GET"])])
    kit.service.set_service_properties(delete_retention_policy=RetentionPolicy(False))
    got = kit.service.get_service_properties()
    equal([got["target_version"], len(got["cors"]), got["delete_retention_policy"].enabled], ["2020-10-02", 1, False])
    kit.service.set_service_properties(cors=[])
    equal(kit.service.get_service_properties()["cors"], [])
