import type { Phrases } from './phrases.ts';

export const ENGLISH: Phrases = {
  language: 'en',
  items: ['headphones', 'coffee machine', 'rain jacket', 'desk lamp', 'running shoes', 'phone case'],
  days: ['Monday', 'Tuesday', 'Thursday', 'Friday', 'Saturday'],
  hello: ['Hi there', 'Hello!', 'Good morning', 'hey', 'Hi, is anybody there?', 'Good evening, quick question'],
  welcome: [
    'Hello, I am the shop assistant. How can I help you today?',
    'Welcome back, {name}! What can I do for you?',
    'Hi! Tell me what you need and I will look it up.',
  ],
  concerns: [
    {
      request: [
        'Where is my order {order}? It should have been here on {day}.',
        'Can you tell me when my {item} will arrive?',
        'I would like to know the status of order {order}, please.',
      ],
      question: ['Could you give me your name and the city it goes to?', 'Which address is it going to?'],
      detail: ['{name}, the parcel goes to {city}.', 'It is going to {city}, under the name {name}.'],
      solution: [
        'Thank you. The parcel left our warehouse and will reach {city} on {day}.',
        'I found it: order {order} is with the carrier and arrives on {day}.',
      ],
    },
    {
      request: [
        'I want to return the {item}, it does not fit.',
        'How do I send back my {item} and get a refund?',
        'The {item} arrived broken. I need my money back.',
      ],
      question: ['I am sorry about that. Do you have the order number at hand?', 'What exactly is wrong with it?'],
      detail: ['The order number is {order}.', 'It was damaged when I opened the box, order {order}.'],
      solution: [
        'I have created a return label for order {order}. The refund takes three to five days.',
        'Your refund for the {item} is on its way, and you can keep the box.',
      ],
    },
    {
      request: [
        'Can I book a table for four on {day} evening?',
        'Please cancel my appointment on {day}.',
        'I need to move my reservation to {day}.',
      ],
      question: ['Certainly. Under which name?', 'In which city is the branch?'],
      detail: ['{name}, in {city}.', 'The one in {city}, my name is {name}.'],
      solution: ['Done, {name}. I have sent you a confirmation for {day}.', 'All set for {day} in {city}.'],
    },
    {
      request: [
        'I cannot log in, the password reset mail never comes.',
        'My account is locked, what happened?',
        'How can I change the email address of my account?',
      ],
      question: ['Which email address did you sign up with?', 'Did you check the spam folder?'],
      detail: ['The same one as for order {order}.', 'Yes, I looked everywhere and there is nothing.'],
      solution: ['I have unlocked the account, please try again.', 'I sent you a new link, it is valid for one hour.'],
    },
  ],
  aside: {
    content: ['That was quick, nice!', 'Sounds good so far.'],
    matter_of_fact: ['Ok.', 'Alright, go on.'],
    playful: ['haha ok 😄', 'my fingers are crossed 🤞'],
    upset: ['This is the third time I am asking. I am really disappointed.', 'I have been waiting for two weeks 😡'],
    rude: ['This is a stupid service, you useless machine.', 'Are you an idiot? Read what I wrote!'],
  },
  soothing: ['I understand, and I am sorry for the trouble.', 'Thank you for your patience, I am checking right now.'],
  closing: {
    content: ['Thank you so much, you made my day! 😊', 'Great, that is exactly what I needed. Thanks!', 'Perfect ❤️'],
    matter_of_fact: ['Ok, thanks.', 'Fine, that is all.', 'Thanks, bye'],
    playful: ['You are my favourite robot 🤖💙', 'Woohoo 🎉 see you next time!'],
    upset: ['That does not help me at all. Terrible experience.', 'I will not order here again.'],
    rude: ['Whatever, this shop is garbage.', 'Shut up and get me a human, you moron.'],
  },
  goodbye: ['You are welcome. Have a nice day!', 'Goodbye, {name}!', 'Anything else I can do for you?'],
  handover: ['I am handing you over to a colleague, one moment please.'],
  agent: ['Hello {name}, this is a human. I have read everything and will sort it out today.'],
};
