"""WebSub, what is kept: who is sent our feeds and what waits for them, and our own subscriptions at hubs."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from aggregator.model import Delivery, HubSubscription
from aggregator.store import rows
from aggregator.store.database import Database
from aggregator.store.rows import stamp

_LASTS = "(leased_until IS NULL OR leased_until > :now)"
"""SQL that is true for a subscriber whose lease has not ended; other hubs have none."""
_AT_HUB = """f.status IN ('active', 'failing') AND s.hub = f.hub_url AND s.topic = f.topic_url"""
"""SQL that is true for a subscription to a feed that still names this hub and is still followed."""


class Push(Database):
    """The outbox of our feeds' subscribers, and the subscriptions at other hubs."""

    # ------------------------------------------------------------------------ our subscribers

    def add_subscriber(
        self, topic: str, callback: str, *, secret: str | None, until: datetime, etag: str, now: datetime
    ) -> None:
        """Note a subscriber, or that one has renewed its lease; those whose lease has ended are forgotten.

        Args:
            topic: address of the document.
            callback: where it is to be sent.
            secret: what it is to be signed with from now on; None: nothing.
            until: when the lease ends.
            etag: of the document now: a new subscriber is sent what comes later.
            now: the time.
        """
        with self._write() as db:
            db.execute("DELETE FROM hub_subscribers WHERE leased_until <= ?", (stamp(now),))
            db.execute(
                """INSERT INTO hub_subscribers (topic, callback, host, secret, since, leased_until, delivered, due_at)
                   VALUES (:topic, :callback, :host, :secret, :now, :until, :etag, :now)
                   ON CONFLICT (topic, callback) DO UPDATE
                      SET secret = :secret, leased_until = :until, due_at = :now, failures = 0""",
                {
                    "topic": topic,
                    "callback": callback,
                    "host": rows.host(callback),
                    "secret": secret,
                    "until": stamp(until),
                    "etag": etag,
                    "now": stamp(now),
                },
            )

    def remove_subscriber(self, topic: str, callback: str) -> None:
        """Forget a subscriber."""
        with self._write() as db:
            db.execute("DELETE FROM hub_subscribers WHERE topic = ? AND callback = ?", (topic, callback))

    def retire_topic(self, topic: str) -> tuple[str, ...]:
        """Forget all subscribers of a document that is no longer published; returns their callbacks."""
        with self._write() as db:
            found = db.execute("DELETE FROM hub_subscribers WHERE topic = ? RETURNING callback", (topic,))
            return tuple(row[0] for row in found.fetchall())

    def subscribers_beside(self, topic: str, callback: str, now: datetime) -> tuple[int, int]:
        """How many subscriptions there are beside this one: at the callback's host, and in all."""
        with self._read() as db:
            of_host, everywhere = db.execute(
                f"""SELECT count(*) FILTER (WHERE host = :host), count(*) FROM hub_subscribers
                     WHERE {_LASTS} AND NOT (topic = :topic AND callback = :callback)""",
                {"host": rows.host(callback), "topic": topic, "callback": callback, "now": stamp(now)},
            ).fetchone()
        return of_host, everywhere

    def set_hubs(self, hubs: Collection[str], topics: Collection[str], now: datetime) -> None:
        """Tell these other hubs of these documents' news from now on, and no others."""
        pairs = {(topic, hub) for topic in topics for hub in hubs}
        with self._write() as db:
            told = db.execute("SELECT topic, callback FROM hub_subscribers WHERE leased_until IS NULL")
            ended = {(row[0], row[1]) for row in told.fetchall()} - pairs
            db.executemany("DELETE FROM hub_subscribers WHERE topic = ? AND callback = ?", sorted(ended))
            db.executemany(
                """INSERT INTO hub_subscribers (topic, callback, host, since, due_at) VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT (topic, callback) DO UPDATE SET leased_until = NULL""",
                [(topic, hub, rows.host(hub), stamp(now), stamp(now)) for topic, hub in sorted(pairs)],
            )

    # ------------------------------------------------------------------------------- outbox

    def awaited_topics(self, now: datetime) -> tuple[str, ...]:
        """The documents that somebody would be sent now if they had changed."""
        with self._read() as db:
            found = db.execute(
                f"SELECT DISTINCT topic FROM hub_subscribers WHERE due_at <= :now AND {_LASTS} ORDER BY topic",
                {"now": stamp(now)},
            ).fetchall()
        return tuple(row[0] for row in found)

    def claim_deliveries(
        self,
        topic: str,
        etag: str,
        now: datetime,
        *,
        limit: int,
        per_host: int,
        except_hosts: Collection[str],
        lease: timedelta,
    ) -> tuple[Delivery, ...]:
        """Take deliveries of a document to those who have not got it; until `lease` ends nobody else is given them.

        Args:
            topic: address of the document.
            etag: of the document as it is now.
            now: the time.
            limit: at most this many.
            per_host: at most this many to one host: many callbacks of one slow server hold nobody else up.
            except_hosts: hosts that are being sent something.
            lease: how long they are ours.
        """
        waits = f"topic = :topic AND delivered IS NOT :etag AND due_at <= :now AND {_LASTS}"
        values = {"topic": topic, "etag": etag, "now": stamp(now)}
        with self._read() as db:  # to find nothing takes no write lock
            if db.execute(f"SELECT 1 FROM hub_subscribers WHERE {waits} LIMIT 1", values).fetchone() is None:
                return ()
        hosts = {f"host{number}": host for number, host in enumerate(except_hosts)}
        names = ", ".join(f":{name}" for name in hosts)
        with self._write() as db:
            found = db.execute(
                f"""UPDATE hub_subscribers SET due_at = :until
                     WHERE id IN (
                        SELECT id FROM (
                            SELECT id, failures, row_number() OVER (PARTITION BY host ORDER BY failures, id) AS rank
                              FROM hub_subscribers WHERE {waits} AND host NOT IN ({names}))
                         WHERE rank <= :per_host ORDER BY failures, rank, id LIMIT :limit)
                 RETURNING id, callback, host, topic, secret, failures""",
                {**values, **hosts, "until": stamp(now + lease), "per_host": per_host, "limit": limit},
            ).fetchall()
        return tuple(Delivery(*row) for row in found)

    def delivered(self, delivery: Delivery, etag: str, now: datetime) -> None:
        """Note that a subscriber has the document with this ETag."""
        with self._write() as db:
            db.execute(
                """UPDATE hub_subscribers SET delivered = :etag, delivered_at = :now, due_at = :now, failures = 0,
                          last_error = NULL
                    WHERE id = :id""",
                {"etag": etag, "now": stamp(now), "id": delivery.subscriber_id},
            )

    def undelivered(self, delivery: Delivery, error: str, due_at: datetime) -> None:
        """Note that a delivery has failed, and when it is to be tried again."""
        with self._write() as db:
            db.execute(
                "UPDATE hub_subscribers SET failures = failures + 1, last_error = ?, due_at = ? WHERE id = ?",
                (error, stamp(due_at), delivery.subscriber_id),
            )

    def release_deliveries(self, deliveries: Iterable[Delivery], now: datetime) -> None:
        """Give deliveries back that were not made."""
        with self._write() as db:
            db.executemany(
                "UPDATE hub_subscribers SET due_at = ? WHERE id = ?",
                [(stamp(now), delivery.subscriber_id) for delivery in deliveries],
            )

    # ------------------------------------------------------------------- subscriptions at hubs

    def wished_subscriptions(
        self, callbacks: str, now: datetime, limit: int
    ) -> tuple[tuple[int, str, str, HubSubscription | None], ...]:
        """Feeds whose hub is to be asked for a subscription now, or asked again.

        Args:
            callbacks: what our callbacks begin with; a subscription with another is made anew.
            now: the time.
            limit: at most this many.

        Returns:
            Feed, hub, topic, and the subscription to renew if there is one.
        """
        with self._read() as db:
            found = db.execute(
                f"""SELECT f.id, f.hub_url, f.topic_url, s.callback, s.secret, s.failures
                      FROM feeds f LEFT JOIN hub_subscriptions s
                           ON s.feed_id = f.id AND {_AT_HUB} AND substr(s.callback, 1, length(:callbacks)) = :callbacks
                     WHERE f.hub_url IS NOT NULL AND f.status IN ('active', 'failing')
                       AND (s.feed_id IS NULL OR s.due_at <= :now)
                     ORDER BY s.due_at, f.id LIMIT :limit""",
                {"callbacks": callbacks, "now": stamp(now), "limit": limit},
            ).fetchall()
        return tuple(
            (row[0], row[1], row[2], None if row[3] is None else HubSubscription(*row)) for row in found
        )

    def hub_asked(self, subscription: HubSubscription, due_at: datetime) -> None:
        """Note that a hub is being asked, and when to ask again if nothing comes of it."""
        with self._write() as db:
            db.execute(
                """INSERT INTO hub_subscriptions (feed_id, hub, topic, callback, secret, due_at, failures)
                   VALUES (:feed_id, :hub, :topic, :callback, :secret, :due_at, 1)
                   ON CONFLICT (feed_id) DO UPDATE
                      SET hub = :hub, topic = :topic, callback = :callback, secret = :secret, due_at = :due_at,
                          failures = iif(callback = :callback, failures + 1, 1),
                          leased_until = iif(callback = :callback, leased_until, NULL),
                          trusted = iif(callback = :callback, trusted, 0)""",
                {
                    "feed_id": subscription.feed_id,
                    "hub": subscription.hub,
                    "topic": subscription.topic,
                    "callback": subscription.callback,
                    "secret": subscription.secret,
                    "due_at": stamp(due_at),
                },
            )

    def hub_subscription(self, callback: str) -> HubSubscription | None:
        """The subscription with this callback, if its feed is followed and still names the hub."""
        with self._read() as db:
            row = db.execute(
                f"""SELECT s.feed_id, s.hub, s.topic, s.callback, s.secret, s.failures
                      FROM hub_subscriptions s JOIN feeds f ON f.id = s.feed_id
                     WHERE s.callback = ? AND {_AT_HUB}""",
                (callback,),
            ).fetchone()
        return None if row is None else HubSubscription(*row)

    def hub_granted(self, subscription: HubSubscription, until: datetime, due_at: datetime) -> None:
        """Note that a subscription lasts `until`, and when it is to be renewed."""
        with self._write() as db:
            db.execute(
                """UPDATE hub_subscriptions SET leased_until = ?, due_at = ?, failures = 0, last_error = NULL
                    WHERE callback = ?""",
                (stamp(until), stamp(due_at), subscription.callback),
            )

    def hub_failed(self, subscription: HubSubscription, error: str) -> None:
        """Note why a hub could not be asked; a lease that runs goes on."""
        with self._write() as db:
            db.execute(
                "UPDATE hub_subscriptions SET last_error = ? WHERE callback = ?",
                (error, subscription.callback),
            )

    def hub_denied(self, subscription: HubSubscription, error: str, due_at: datetime) -> None:
        """Note that a hub has ended or refused a subscription, and when to ask it again."""
        with self._write() as db:
            db.execute(
                """UPDATE hub_subscriptions SET leased_until = NULL, trusted = 0, last_error = ?, due_at = ?
                    WHERE callback = ?""",
                (error, stamp(due_at), subscription.callback),
            )

    def pushed(self, subscription: HubSubscription, now: datetime) -> None:
        """Note that a hub has sent news of a feed: it can be relied on."""
        with self._write() as db:
            db.execute(
                "UPDATE hub_subscriptions SET pushed_at = ?, trusted = 1 WHERE callback = ?",
                (stamp(now), subscription.callback),
            )

    def polled_beside(self, feed_id: int, *, missed: bool, until: datetime, now: datetime) -> None:
        """Put off the next poll of a feed whose hub can be relied on; a fixed `every:` stays what it is.

        Args:
            feed_id: a feed that has just been polled.
            missed: whether the poll found what its hub had not sent; it is not relied on then until it sends again.
            until: the next poll is not before.
            now: the time.
        """
        with self._read() as db:
            if (
                db.execute(
                    "SELECT 1 FROM hub_subscriptions WHERE feed_id = ? AND trusted", (feed_id,)
                ).fetchone()
                is None
            ):
                return
        with self._write() as db:
            if missed:
                db.execute("UPDATE hub_subscriptions SET trusted = 0 WHERE feed_id = ?", (feed_id,))
                return
            db.execute(
                """UPDATE feeds SET next_poll_at = max(next_poll_at, :until)
                    WHERE id = :feed_id AND status = 'active' AND every_seconds IS NULL
                      AND EXISTS (SELECT 1 FROM hub_subscriptions s
                                   WHERE s.feed_id = :feed_id AND s.trusted AND s.leased_until > :now)""",
                {"feed_id": feed_id, "until": stamp(until), "now": stamp(now)},
            )
