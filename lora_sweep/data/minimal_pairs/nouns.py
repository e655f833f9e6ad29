"""Nouns and names of the embedded corpus, by kind, in the singular."""

NOUNS: dict[str, tuple[str, ...]] = {
    kind: tuple(words.split())
    for kind, words in {
        "man": """
            boy brother businessman butler count duke father fisherman fireman gentleman
            grandfather grandson groom handyman husband king man monk nephew policeman
            priest prince salesman son stepfather stuntman uncle waiter wizard
        """,
        "woman": """
            abbess actress aunt ballerina bride businesswoman countess daughter duchess empress
            girl goddess granddaughter grandmother heiress hostess mother niece nun
            policewoman princess queen saleswoman sister stepmother waitress widow wife witch
            woman
        """,
        "person": """
            accountant acrobat activist adult ambassador analyst apprentice architect artist
            assistant astronaut athlete author baker banker beginner biologist builder candidate
            captain carpenter cashier chef chemist child citizen cleaner clerk climber clown
            coach colleague collector composer consultant cousin critic customer dancer dentist
            designer detective director doctor driver economist editor electrician employee
            engineer expert explorer farmer florist friend gardener governor guard guest guide
            hairdresser hero historian hunter immigrant inspector inventor investor janitor
            journalist judge juror landlord lawyer lecturer librarian magician manager mayor
            mechanic merchant messenger minister musician neighbor novelist nurse officer orphan
            painter passenger patient pharmacist photographer physicist pianist pilot plumber poet
            politician porter president prisoner producer professor programmer rebel
            receptionist reporter runner sailor scholar scientist sculptor senator servant singer
            soldier spy stranger student surgeon tailor teacher teenager tenant therapist
            thief tourist trainer translator traveler tutor victim visitor volunteer witness
            writer
        """,
        "animal": """
            bear beaver camel cat cow crow deer dog dolphin donkey duck eagle elephant fox frog
            goat goose hamster hawk hen horse kitten lamb lion lizard monkey mouse otter owl
            panda parrot penguin pig pony puppy rabbit raccoon rat raven sheep snake spider
            squirrel swan tiger turtle walrus whale wolf zebra
        """,
        "device": """
            airplane ax bag basket bell bicycle blanket boat bottle bowl box bracelet broom
            brush bucket camera candle carpet cart chair clock coat cup curtain desk drum
            fence flute guitar hammer hat helmet jacket jar kettle key knife ladder lamp
            laptop lock mask mirror motorcycle mug necklace oven painting phone piano plate
            radio refrigerator ring saddle sculpture shelf shirt shovel sofa
            spoon statue stove suitcase sweater sword table telescope television toaster toy truck
            tractor umbrella vase violin wallet watch whistle
        """,
        "text": """
            agreement anthem article biography blog book brochure column contract diary dictionary
            document email essay fable guidebook invitation invoice journal leaflet lecture
            letter list magazine manual manuscript map memo message newspaper note novel
            pamphlet paper petition play poem postcard proposal recipe report review sermon
            sketch song speech statement story summary survey textbook ticket
        """,
        "food": """
            apple apricot banana burger burrito cake carrot casserole cherry cookie cucumber
            dumpling egg fig hamburger loaf mango melon muffin omelet onion orange pancake
            pastry peach pear pepper pie pineapple pizza plum potato pretzel pudding pumpkin
            radish salad sandwich sausage steak strawberry tomato turnip waffle
        """,
        "mass": """
            advice baggage butter cement clothing coffee dirt dust equipment evidence flour
            furniture garbage gasoline gold gravel homework honey information jewelry
            knowledge luggage luck machinery milk money mud music oil pollution progress rain
            research rice rubbish salt sand snow software steam sugar traffic water wealth
        """,
        "event": """
            auction banquet ceremony concert conference contest dinner election exam festival
            funeral game holiday interview lesson meal meeting match parade party performance
            picnic race rehearsal seminar storm strike tournament trial war wedding workshop
        """,
        "news": "allegation belief claim fact hint idea impression rumor suspicion theory warning",
    }.items()
}

# A place stands after the preposition that goes with it.
PLACES: dict[str, tuple[str, ...]] = {
    preposition: tuple(words.split())
    for preposition, words in {
        "at": "airport factory harbor hotel museum office station theater zoo market university",
        "in": """
            attic barn basement cabin castle cathedral cave cellar church classroom corridor
            courtyard forest garage garden gym hallway hospital kitchen laboratory library meadow
            palace park prison restaurant school stable studio tent tower valley village
        """,
        "on": "balcony beach bridge bus farm ferry hill island pier roof stage terrace train",
    }.items()
}

NAMES: dict[str, tuple[str, ...]] = {
    gender: tuple(words.split())
    for gender, words in {
        "male": """
            Adam Albert Andrew Anthony Arthur Benjamin Brian Carl Charles Daniel David Dennis
            Edward Eric Frank George Gregory Harold Henry Hugo Jacob James John Joseph Kenneth
            Kevin Lawrence Leonard Marcus Martin Nathan Oliver Oscar Patrick Paul Peter Philip
            Ralph Raymond Richard Robert Samuel Simon Stephen Theodore Thomas Timothy Victor
            Walter William
        """,
        "female": """
            Abigail Alice Amanda Amelia Amy Angela Anna Barbara Beatrice Bridget Carol Caroline
            Catherine Charlotte Christina Clara Deborah Diana Donna Dorothy Eleanor Elizabeth
            Emily Emma Florence Frances Gloria Hannah Helen Irene Jane Janet Jennifer Julia Karen
            Laura Linda Lucy Margaret Maria Martha Mary Melissa Monica Nancy Nora Olivia Pamela
            Rachel Rebecca Rose Ruth Sandra Sarah Sophia Susan Teresa Ursula Valerie Veronica
        """,
    }.items()
}
