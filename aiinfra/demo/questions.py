"""Questions of the demo organizations: three departments, each question in several wordings."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Topic:
    """A subject; `{…}` in a wording is filled from the slots of the same name."""

    wordings: tuple[str, ...]
    answer: str
    follow_ups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Department:
    """People who share a system prompt."""

    name: str
    system: str
    people: tuple[str, ...]
    topics: tuple[Topic, ...]


SLOTS: dict[str, tuple[Any, ...]] = {
    "year": (2023, 2024, 2025),
    "quarter": ("Q1", "Q2", "Q3", "Q4"),
    "site": ("Hamburg", "Lyon", "Gdańsk", "Porto", "Detroit"),
    "supplier": ("Nordtex", "Alumar", "Packwell", "Ostra Logistics", "Brightglass"),
    "product": ("the standard plan", "the team plan", "the mobile app", "the reporting add-on"),
    "amount": (1_280, 4_900, 12_400, 38_750, 210_000),
    "percent": (3, 7, 12, 18, 25),
    "order": (48213, 50377, 51904, 53320, 60115),
}

SUSTAINABILITY = Department(
    "sustainability",
    "You help a sustainability team with greenhouse gas accounting and reporting. Name the standard you rely on, "
    "and say where a figure needs checking.",
    ("mara.lind", "t.okafor", "sustainability-bot"),
    (
        Topic(
            (
                "What is the difference between scope 1, scope 2 and scope 3 emissions?",
                "Can you explain scope 1, 2 and 3 emissions in plain words?",
                "How do the three emission scopes differ?",
            ),
            "Scope 1 is what your own chimneys and vehicles emit, scope 2 is bought electricity and heat, and scope 3 "
            "is everything else in the value chain.",
            (
                "Which of them does business travel belong to?",
                "And leased cars that our sales team drives?",
                "Give me one example of each for a furniture maker.",
            ),
        ),
        Topic(
            (
                "Our site in {site} used 1.84 GWh of grid electricity in {year}. Estimate its scope 2 emissions, "
                "location-based and market-based.",
                "How many tonnes of CO2 does 1.84 GWh of grid power at {site} in {year} stand for?",
            ),
            "Location-based, multiply the consumption by the grid's average factor of that year; market-based, use the "
            "factor of your supply contract or the residual mix.",
            ("Which factor would an auditor accept?", "What changes if a third of it is covered by certificates?"),
        ),
        Topic(
            (
                "Draft a short email to {supplier} that asks for product carbon footprints of everything we bought in "
                "{year}.",
                "Write to {supplier} and ask politely for the carbon footprint data for {year}.",
            ),
            "Dear colleagues, for our report we are collecting the product carbon footprints of our purchases.",
            ("Make it friendlier and half as long.", "Add that we need it by the end of next month."),
        ),
        Topic(
            (
                "Summarize what a double materiality assessment has to cover, in five bullet points.",
                "What belongs in a double materiality assessment? Five points, please.",
            ),
            "Impacts, risks, opportunities, the value chain, and the people you asked.",
            ("Who should sign it off?",),
        ),
        Topic(
            (
                "We cut waste at {site} by {percent}% against {year}. Suggest three sentences for the annual report "
                "that are accurate and do not exaggerate.",
            ),
            "State the base year, the boundary and the measure that caused it.",
        ),
    ),
)

FINANCE = Department(
    "finance",
    "You support the finance department. Be exact with numbers, show the calculation, and never guess a figure that "
    "was not given.",
    ("j.becker", "finance-copilot", "r.delacroix", "amina.y"),
    (
        Topic(
            (
                "Explain the variance: travel costs in {quarter} {year} were {percent}% above budget.",
                "Travel spend went {percent}% over budget in {quarter} {year}. What should be checked first?",
            ),
            "Check volume first (number of trips), then price (fares and hotels), then the timing of invoices.",
            ("Turn this into two sentences for the board.", "Which of these can we influence before year end?"),
        ),
        Topic(
            (
                "How do I accrue an invoice of {amount} euros from {supplier} that comes after the close of {quarter}?",
                "{supplier} will invoice {amount} euros after quarter end for {quarter}. How is it accrued?",
            ),
            "Book the expense against accrued liabilities in the period in which the work was done, and reverse it "
            "when the invoice is posted.",
            ("Show me the two journal entries.", "What if the invoice turns out to be lower?"),
        ),
        Topic(
            (
                "What is the difference between EBIT and EBITDA?",
                "Explain EBITDA compared with EBIT to a new colleague.",
            ),
            "EBITDA adds depreciation and amortization back to EBIT.",
            ("When is EBITDA misleading?",),
        ),
        Topic(
            (
                "Classify this bank line into one of travel, software, rent, utilities, other: "
                '"SEPA {supplier} INV {order} {amount}.00 EUR". Answer with one word.',
            ),
            "other",
        ),
        Topic(
            (
                "Write a reminder to a customer whose invoice over {amount} euros has been due for 30 days. Firm, but "
                "friendly.",
                "Draft a second payment reminder, {amount} euros, 30 days overdue, in a friendly tone.",
            ),
            "You may have overlooked our invoice; we kindly ask you to settle it within ten days.",
            ("Now a stricter one for 60 days.",),
        ),
    ),
)

SUPPORT = Department(
    "support",
    "You draft replies for a customer support team. Write in the customer's language, short and warm, and promise "
    "nothing that the policy does not say.",
    ("helpdesk", "chat-widget", "s.novak", "lena.p", "o.mensah"),
    (
        Topic(
            (
                "How do I reset my password?",
                "I forgot my password, what should I do?",
                "Password reset does not work, please help",
            ),
            "Choose “Forgot password” on the login page; the email arrives within five minutes.",
            ("The email never arrived.", "I no longer have access to that mailbox."),
        ),
        Topic(
            (
                "Where is my order {order}?",
                "Hi, order {order} should have arrived two days ago. Where is it?",
                "Please tell me the delivery status of order {order}.",
            ),
            "It left our warehouse yesterday and arrives within two working days.",
            ("Can it be sent to another address?", "I will not be at home on Friday."),
        ),
        Topic(
            (
                "How can I cancel {product}?",
                "I want to cancel {product} before it renews. What do I have to do?",
            ),
            "You can cancel at any time under Settings, Subscription; it then runs until the end of the paid month.",
            ("Do I get money back?", "Will my data be deleted?"),
        ),
        Topic(
            (
                "Summarize this ticket in one line for the handover: customer on {product} reports that exports stop "
                "at {percent}% since Monday, has tried two browsers, needs the file for an audit on Thursday.",
            ),
            "Export has been hanging since Monday on two browsers; audit on Thursday makes it urgent.",
        ),
        Topic(
            (
                "Is this message angry, neutral or happy? “This is the third time I've written about order "
                "{order}. Nobody answers.” One word.",
            ),
            "angry",
        ),
        Topic(
            (
                "Translate into German and keep it polite: We are sorry for the delay of order {order} and have "
                "credited {percent}% to your account.",
            ),
            "Wir bitten die Verzögerung zu entschuldigen.",
            ("And into French, please.",),
        ),
    ),
)

DEPARTMENTS = (SUSTAINABILITY, FINANCE, SUPPORT)
