"""A condition on many ids finds just those, on each engine, and is compiled once for any number of them."""

from sqlalchemy import select

from lightwell.base.db import Database, Model
from lightwell.base.many import among
from lightwell.residency.presence_models import Reservation


def test_only_what_is_named_is_found_however_much_that_is(database_url: str) -> None:
    database = Database(database_url)
    Model.metadata.create_all(database.engine, [Model.metadata.tables["reservations"]])
    odd = ["it's", 'a "quoted" one', "ünï", ""]
    with database.write() as session:
        session.add_all(Reservation(work=work, since=1) for work in ["a", "b", *odd])
    with database.read() as session:
        asked = select(Reservation.work)
        for wanted in ([], ["a"], [*odd, "a"], ["a"] * 40_000, ["c"]):
            found = session.scalars(asked.where(among(session, Reservation.work, wanted)))
            assert set(found) == set(wanted) - {"c"}
    database.dispose()
