"""Every route but the fast one, as a FastAPI application, and what goes on behind the requests.

* What a route does: `routes`, one file per group; `app` lists them, `desk` is what each is given.
* How a route says no: `refusing`. What becomes of an exception: `refusals`.
* How the champion is followed: `keeper`. What a bundle says of itself: `contents`.
* The way into the prediction log: `draining`.
* Uploads on their way in: `receiving`; looked at: `examining` (the process is `examiner`); kept: `datasets`.
* Whether two tables fit: `agreement`; a table and a model: `checking` (the process is `checker`).
* Training jobs: `jobs` and `events`; ordered by `orders`, started by `foreman`, run by `job_process`.
* Predictions made here: `reception`, by way of `asking` (JSON), `csv_answers`, `mlflow_rows`; `batching`, `answering`.
"""
