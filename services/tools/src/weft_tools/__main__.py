from weft_tools.server import main

if __name__ == "__main__":
    main()
