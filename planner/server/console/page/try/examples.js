// Questions of the lab's four domains, easy and hard, for whoever has none at hand.

export const EXAMPLES = [
  { name: "A sum", domain: "arithmetic", question: "What is (13+64)+80?" },
  {
    name: "A purse",
    domain: "arithmetic",
    question:
      "In a purse are 78 coins. Then 30 coins are found. Leo earns 7 more. A book costs 3 of them. How many coins does Leo have?",
  },
  {
    name: "Letters",
    domain: "arithmetic",
    question: "Let h=t-37, p=d*3, k=76, r=h+20, f=r+73, t=b-24, b=g-47, g=k+33, d=f-4. What is p?",
  },
  {
    name: "Reach 18",
    domain: "puzzle",
    question: "With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed",
  },
  {
    name: "A walk",
    domain: "puzzle",
    question: "Go from 7 with moves +14,+10,-8,-21,*3 and reach 20 in 4 moves",
  },
  { name: "Moles", domain: "chemistry", question: "In a jar are 181.5 g of Al(NO2)3. Find the moles." },
];
